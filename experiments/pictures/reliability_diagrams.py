"""Reliability diagrams: the accuracy of classifiers against their confidence."""

import pathlib
from collections.abc import Mapping

import numpy as np

from experiments.pictures.canvas import COLORS, new_figure, save
from supcon_tf import evaluation


def reliability_diagrams(
    path: pathlib.Path,
    probabilities: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    bins: int = 15,
) -> None:
    """Draws accuracy against confidence of each classifier, above a histogram of the confidence.

    Args:
        path: the PNG to write; the SVG has the same name.
        probabilities: for each classifier `[images, classes]` probabilities of the same images.
        labels: `[images]` class ids.
        bins: number of bins of confidence.
    """
    figure = new_figure(4.4)
    axes = figure.subplots(
        2, len(probabilities), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1)
    )
    edges = np.linspace(0, 1, bins + 1)
    for (upper, lower), (name, rows) in zip(axes.T, probabilities.items(), strict=True):
        curve = evaluation.reliability_curve(rows, labels, bins)
        error = evaluation.expected_calibration_error(rows, labels, bins)
        upper.plot([0, 1], [0, 1], color="black", linestyle=":", label="perfectly calibrated")
        upper.plot(
            curve.confidence,
            curve.accuracy,
            color=COLORS[0],
            marker="o",
            clip_on=False,
            label="the classifier",
        )
        upper.set(title=f"{name}\nexpected calibration error {100 * error:.1f} %", ylim=(0, 1))
        upper.grid()
        lower.stairs(curve.count, edges, fill=True, color=COLORS[0])
        lower.set(xlabel="confidence", xlim=(0, 1), yscale="log")
        lower.set_ylim(bottom=0.5)  # A bin with a single image is visible.
        lower.yaxis.set_major_formatter("{x:,.0f}")
        lower.grid()
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("images")
    handles, names = upper.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    save(path, figure)
