"""Maps of representations in two dimensions."""

import pathlib
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize

from experiments.pictures.canvas import COLORS, MARKERS, WIDTH, columns_for, panels, save
from experiments.pictures.sample import sample

_MAX_LEGEND_ENTRIES = 20


def embedding_maps(
    path: pathlib.Path,
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    points: int = 2000,
    projection: str = "t-SNE",
    seed: int = 0,
) -> None:
    """Draws a map of each method's representations, side by side.

    Args:
        path: the PNG to write; the SVG has the same name.
        representations: for each method `[images, dim]` representations of the same images, which
            are normalized.
        labels: `[images]` class ids.
        class_names: one name per class. The legend lists them if there are at most 20.
        points: the maximum number of images. The choice is always the same.
        projection: `"t-SNE"` or `"PCA"`.
        seed: random state of the projection.
    """
    chosen = sample(len(labels), points)
    labels = labels[chosen]
    maps = {
        method: _project(normalize(vectors[chosen]), projection, seed)
        for method, vectors in representations.items()
    }
    with_legend = len(class_names) <= _MAX_LEGEND_ENTRIES
    if len(maps) == 1:  # The legend is beside the map.
        legend = {"loc": "outside right center"}
        width, margin = WIDTH - 0.4 - 1.6 * with_legend, 0.6
    else:
        legend = {"loc": "outside lower center", "ncols": 5}
        width, margin = WIDTH / columns_for(len(maps)) - 0.1, 0.6 + 0.4 * with_legend
    ratio = _frame_ratio([positions for positions, _ in maps.values()])
    figure, axes = panels(len(maps), margin + width * ratio)
    for axis, (method, (positions, (x_label, y_label))) in zip(axes, maps.items(), strict=True):
        for label, name in enumerate(class_names):
            axis.scatter(
                *positions[labels == label].T,
                s=24 if len(maps) == 1 else 8,
                linewidths=0,
                color=COLORS[label % len(COLORS)],
                # Classes with the same color have different markers.
                marker=MARKERS[(label + label // len(COLORS)) % len(MARKERS)],
                label=name,
                rasterized=True,
            )
        axis.set(title=method, xticks=[], yticks=[], xlabel=x_label, ylabel=y_label)
        _fit_frame(axis, positions, ratio)
        axis.spines[:].set_visible(True)
    if with_legend:
        handles, names = axis.get_legend_handles_labels()
        figure.legend(
            handles,
            map(_wrap, names),
            markerscale=1.5 if len(maps) == 1 else 2.5,
            handletextpad=0,
            **legend,
        )
    save(path, figure)


def _frame_ratio(maps: Sequence[np.ndarray]) -> float:
    """Returns the ratio of height to width of a frame that fits the points of maps, 0.5 to 1."""
    widths, heights = np.array([np.ptp(positions, axis=0) for positions in maps]).T
    return float(np.clip(np.mean(heights / np.maximum(widths, 1e-9)), 0.5, 1))


def _fit_frame(axis: Axes, positions: np.ndarray, ratio: float) -> None:
    """Puts a frame with this ratio around points, with the same scale in both directions."""
    width, height = np.ptp(positions, axis=0)
    x, y = (positions.min(axis=0) + positions.max(axis=0)) / 2
    half = 0.54 * max(width, height / ratio, 1e-9)
    axis.set(xlim=(x - half, x + half), ylim=(y - ratio * half, y + ratio * half), box_aspect=ratio)


def _wrap(class_name: str) -> str:
    return textwrap.fill(class_name, 20)


def _project(vectors: np.ndarray, projection: str, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    """Returns the positions `[rows, 2]` of vectors and the labels of the two axes."""
    if projection == "t-SNE":
        # The perplexity must be below the number of rows.
        perplexity = min(30, (len(vectors) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        return tsne.fit_transform(vectors), ("t-SNE", "")
    if projection == "PCA":
        pca = PCA(2, random_state=seed)
        positions = pca.fit_transform(vectors)
        first, second = (
            f"{place} component, {100 * share:.0f} % of variance"
            for place, share in zip(("first", "second"), pca.explained_variance_ratio_, strict=True)
        )
        return positions, (first, second)
    raise ValueError(f"`projection` must be 't-SNE' or 'PCA'. Received: {projection!r}")
