"""The nearest neighbors of images."""

import pathlib
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from sklearn.preprocessing import normalize

from experiments.pictures.canvas import COLORS, WIDTH, new_figure, save

_FRAME = {
    "edgecolor": COLORS[2],
    "linewidth": 2.5,
    "linestyle": (0, (2, 1)),
    "capstyle": "butt",
}  # of another class
_NAME_SIZE = 8  # points


def nearest_neighbors(
    path: pathlib.Path,
    representations: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: Sequence[str],
    read: Callable[[np.ndarray], np.ndarray],
    *,
    queries: Sequence[int],
    k: int = 5,
) -> None:
    """Draws images and the `k` images of the highest cosine similarity, in a block per method.

    The class is written below the query and below neighbors of another class, which also have a
    dashed frame. A key below the pictures says so.

    Args:
        path: the PNG to write; the SVG has the same name.
        representations: for each method `[images, dim]` representations of the same images.
        labels: `[images]` class ids.
        class_names: one name per class.
        read: returns images `[rows, height, width, channels]` in [0, 1] for positions `[rows]`.
        queries: positions of the images whose neighbors are drawn.
        k: number of neighbors.

    Raises:
        ValueError: if `k` is not between 1 and the number of other images.
    """
    if not 1 <= k < len(labels):
        raise ValueError(
            "`k` must be between 1 and the number of other images. "
            f"Received: {k} of {len(labels) - 1}"
        )
    queries = np.asarray(queries)
    rows = {  # Positions [queries, 1 + k] of the drawn images.
        method: np.column_stack([queries, _nearest(vectors, queries, k)])
        for method, vectors in representations.items()
    }
    shown = np.unique(np.stack(list(rows.values())))
    images = dict(zip(shown.tolist(), read(shown), strict=True))

    columns = min(len(rows), 2)
    blocks = -(-len(rows) // columns)
    lines = max(_wrap(name).count("\n") + 1 for name in class_names)
    row_height = WIDTH / columns / (1 + k) + 0.13 * lines
    figure = new_figure(blocks * (len(queries) * row_height + 0.5) + 0.3)
    subfigures = figure.subfigures(blocks, columns, wspace=0.04, squeeze=False).ravel()
    for subfigure, (method, positions) in zip(subfigures, rows.items(), strict=False):
        subfigure.suptitle(method, fontsize="medium")
        axes = subfigure.subplots(len(queries), 1 + k, squeeze=False)
        for number, title in enumerate(["query", *range(1, 1 + k)]):
            axes[0, number].set_title(title, fontsize=_NAME_SIZE)
        for (query, *neighbors), (first, *others) in zip(positions.tolist(), axes, strict=True):
            _show(first, images[query])
            _name(first, class_names[labels[query]])
            for neighbor, axis in zip(neighbors, others, strict=True):
                _show(axis, images[neighbor])
                if labels[neighbor] != labels[query]:
                    _name(axis, class_names[labels[neighbor]])
                    for side in axis.spines.values():
                        side.set(visible=True, **_FRAME)
    figure.legend(
        handles=[Patch(facecolor="none", **_FRAME, label="another class than the query")],
        loc="outside lower center",
        fontsize=_NAME_SIZE,
        handleheight=2,
        handlelength=2,
    )
    save(path, figure)


def _nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Returns the positions `[queries, k]` of the vectors most similar to each query."""
    units = normalize(vectors)
    similarities = units[queries] @ units.T
    similarities[np.arange(len(queries)), queries] = -np.inf
    return np.argsort(-similarities, axis=1, kind="stable")[:, :k]


def _show(axis: Axes, image: np.ndarray) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _name(axis: Axes, class_name: str) -> None:
    axis.set_xlabel(_wrap(class_name), fontsize=_NAME_SIZE, labelpad=2)


def _wrap(class_name: str) -> str:
    return textwrap.fill(class_name, 12)  # About the width of an image.
