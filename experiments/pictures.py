"""The pictures that the experiments draw."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first)
from sklearn.manifold import TSNE  # noqa: E402

from experiments.files import write_atomically  # noqa: E402


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
    _save(path, figure)


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
    _save(path, figure)


def _save(path: pathlib.Path, figure: plt.Figure) -> None:
    figure.set_layout_engine("constrained")
    write_atomically(path, lambda name: figure.savefig(name, dpi=150))
    plt.close(figure)
