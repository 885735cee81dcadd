"""Histograms of the similarities within and between classes."""

import pathlib
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize

from experiments.pictures.canvas import COLORS, panels, save
from experiments.pictures.sample import sample

_BINS = 50


def similarity_histograms(
    path: pathlib.Path,
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    points: int = 2000,
) -> None:
    """Draws histograms of the cosine similarities of pairs of images, one axis per method.

    The histograms of pairs of the same class and of pairs of different classes sum to 100 % each.
    The title states the area under the ROC curve: the probability that a pair of the same class is
    more similar than a pair of different classes.

    Args:
        path: the PNG to write; the SVG has the same name.
        representations: for each method `[images, dim]` representations of the same images.
        labels: `[images]` class ids.
        points: the maximum number of images. The choice is always the same.

    Raises:
        ValueError: if no two of these images have the same class, or no two have different classes.
    """
    chosen = sample(len(labels), points)
    first, second = np.triu_indices(len(chosen), k=1)
    same = labels[chosen][first] == labels[chosen][second]
    if same.all() or not same.any():
        raise ValueError(
            "`labels` must contain two images of the same class and two of different classes. "
            f"Received: {labels[chosen].tolist()}"
        )
    similarities = {}
    for method, vectors in representations.items():
        units = normalize(vectors[chosen])
        similarities[method] = np.clip((units @ units.T)[first, second], -1, 1)
    lowest = min(values.min() for values in similarities.values())
    edges = np.linspace(lowest, 1, _BINS + 1)

    figure, axes = panels(len(representations), height=3.2, sharex=True, sharey=True)
    for axis, (method, values) in zip(axes, similarities.items(), strict=True):
        for name, pairs, color, hatch in (
            ("pairs of the same class", values[same], COLORS[0], ""),
            ("pairs of different classes", values[~same], COLORS[1], "////"),
        ):
            heights = 100 * np.histogram(pairs, edges)[0] / len(pairs)
            axis.stairs(
                heights, edges, fill=True, facecolor=color, alpha=0.5, hatch=hatch, label=name
            )
            axis.stairs(heights, edges, color=color, linewidth=1.5)
        axis.set(
            title=f"{method}\nAUC {roc_auc_score(same, values):.3f}",
            xlabel="cosine similarity",
            ylabel="share of the pairs, %",
        )
        axis.tick_params(
            labelbottom=True, labelleft=True
        )  # On every axis, despite the shared scales.
        axis.grid()
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    save(path, figure)
