"""Accuracy and calibration of classifiers against the severity of corruptions."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.pictures.canvas import COLORS, MARKERS, panels, save


def robustness_curves(
    path: pathlib.Path, metrics: Mapping[str, Mapping[str, Sequence[float]]]
) -> None:
    """Draws accuracy and calibration error against the severity of corruptions, side by side.

    Args:
        path: the PNG to write; the SVG has the same name.
        metrics: for each classifier `"accuracy"` and `"ece"`, both from 0 to 1, on clean images and
            at each severity.
    """
    figure, axes = panels(2, 3.4)
    for axis, key, label, unit in zip(
        axes,
        ("accuracy", "ece"),
        ("accuracy in %", "expected calibration error"),
        (100, 1),
        strict=True,
    ):
        for (name, values), color, marker in zip(metrics.items(), COLORS, MARKERS, strict=False):
            heights = unit * np.asarray(values[key])
            axis.plot(heights, color=color, marker=marker, markersize=5, label=name)
        axis.set_xticks(range(len(heights)), ["clean", *range(1, len(heights))])
        axis.set(xlabel="severity, mean over the corruptions", ylabel=label)
        axis.grid()
    axis.set_ylim(bottom=0)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    save(path, figure)
