"""The pictures that the experiments draw."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first)
from sklearn.manifold import TSNE  # noqa: E402

from experiments.files import write_atomically  # noqa: E402

# Told apart by the colour-blind, and in grey by their markers: Okabe and Ito, without yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vP*"


def learning_curves(path: pathlib.Path, losses: Mapping[str, Sequence[float]]) -> None:
    """Draws the training loss of each method against the epoch, side by side.

    Args:
        path: the PNG to write.
        losses: for each method the mean training loss of every epoch. The scales of different
            losses cannot be compared, so each has its own axis.
    """
    figure, axes = plt.subplots(1, len(losses), figsize=(4.5 * len(losses), 3.2), squeeze=False)
    for axis, (method, values) in zip(axes[0], losses.items(), strict=True):
        axis.plot(range(1, len(values) + 1), values, marker=".", color="tab:blue")
        axis.set(title=method, xlabel="epoch", ylabel="training loss")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    _save(figure, path)


def embedding_maps(
    path: pathlib.Path,
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    points: int = 2000,
    seed: int = 0,
) -> None:
    """Draws a t-SNE map of each method's representations, side by side.

    Args:
        path: the PNG to write.
        representations: for each method `[images, dim]` representations of the same images.
        labels: `[images]` class ids.
        class_names: one name per class, for the legend.
        points: how many images to draw, the first ones.
        seed: random state of t-SNE.
    """
    labels = labels[:points]
    figure, axes = plt.subplots(
        1, len(representations), figsize=(4.5 * len(representations) + 1.5, 4.5), squeeze=False
    )
    colours = plt.get_cmap("tab10" if len(class_names) <= 10 else "tab20")
    for axis, (method, vectors) in zip(axes[0], representations.items(), strict=True):
        units = vectors[:points] / np.linalg.norm(vectors[:points], axis=1, keepdims=True)
        positions = TSNE(init="pca", random_state=seed).fit_transform(units)
        for label, name in enumerate(class_names):
            chosen = positions[labels == label]
            axis.scatter(*chosen.T, s=6, color=colours(label % colours.N), label=name)
        axis.set(title=method, xticks=[], yticks=[])
        axis.set_xlabel("t-SNE of the test images' representations")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside right center", markerscale=3
    )
    _save(figure, path)


def robustness_curves(
    paths: Sequence[pathlib.Path], figures: Mapping[str, Mapping[str, Sequence[float]]]
) -> None:
    """Draws accuracy and calibration error against the severity of corruptions, side by side.

    Args:
        paths: the files to write, PNG or SVG.
        figures: for each classifier, of which 7 can be told apart, `"accuracy"` and `"ece"`, both
            from 0 to 1, on clean images and then at each severity.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for axis, key, label, unit in (
        (axes[0], "accuracy", "accuracy in %", 100),
        (axes[1], "ece", "expected calibration error", 1),
    ):
        styles = itertools.cycle(zip(_COLOURS, _MARKERS, strict=True))
        for (name, values), (colour, marker) in zip(figures.items(), styles, strict=False):
            heights = unit * np.asarray(values[key])
            axis.plot(heights, color=colour, marker=marker, markersize=5, label=name)
        severities = range(1, len(heights))
        axis.set_xticks(range(len(heights)), ["clean", *severities])
        axis.set(xlabel="severity, mean over the corruptions", ylabel=label)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    _save(figure, *paths)


def _save(figure: plt.Figure, *paths: pathlib.Path) -> None:
    figure.set_layout_engine("constrained")
    for path in paths:
        write_atomically(path, lambda name: figure.savefig(name, dpi=150))
    plt.close(figure)
