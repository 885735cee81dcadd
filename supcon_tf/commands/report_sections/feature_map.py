"""A map of the features in two dimensions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supcon_tf._checks import check_choice
from supcon_tf._requirements import require_extra
from supcon_tf.commands.chart import LOOKS, Axes, chart, grid, key, marker
from supcon_tf.commands.markup import Markup, element, percent, plural
from supcon_tf.commands.page import note, section
from supcon_tf.commands.run_outputs import Run

PROJECTIONS = ("PCA", "t-SNE")
_MAX_POINTS = 1500
_MAX_LEGEND = 20  # With more classes, those with the most mistakes have a color.
_SHORT_LEGEND = 10
_WIDTH, _BORDER = 680, 30


def feature_map(run: Run, wrong: NDArray[np.bool_], projection: str) -> Markup:
    """Returns a section with a map of the test images.

    Args:
        run: the run.
        wrong: `[images]` whether the prediction of each test image is wrong.
        projection: one of `PROJECTIONS`.
    """
    check_choice("projection", projection, PROJECTIONS)
    count = len(run.test.paths)
    # Random, because images can be sorted by class; always the same.
    chosen = np.sort(np.random.default_rng(0).choice(count, min(count, _MAX_POINTS), replace=False))
    vectors = run.test.representations[chosen].astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    positions, labels = (_pca if projection == "PCA" else _t_sne)(vectors)
    classes = [run.names_of(run.test, image) for image in range(count)]
    colored = _colored_classes(classes, wrong, run.class_names)
    looks = {name: look for look, name in enumerate(colored)}
    axes = _square_axes(positions)
    points = [
        (
            looks.get(classes[image]),
            marker(
                *axes.place(*position),
                looks.get(classes[image]),
                f"{run.test.paths[image].name}: {classes[image]}"
                + (", predicted wrong" if wrong[image] else ""),
            ),
        )
        for image, position in zip(chosen, positions, strict=True)
    ]
    points.sort(key=lambda point: point[0] is not None)  # Gray points lie below.
    rest = len(set(classes) - set(colored))
    legend = [(marker(12, 7, look), name) for name, look in looks.items()]
    if rest:
        legend.append((marker(12, 7), plural(rest, "other class", "other classes")))
    return section(
        "Map of the features",
        element(
            "p",
            f"Each point is one of {plural(len(chosen), 'test image')}. Images with similar "
            f"features are near each other. The map is a {projection} of the normalized features.",
            f" The {len(colored)} classes with the most mistakes are colored." if rest else "",
        ),
        element(
            "figure",
            chart(
                axes,
                f"{projection} of the features of {plural(len(chosen), 'test image')}",
                grid(axes, *labels, x_ticks=(), y_ticks=()),
                *(mark for _, mark in points),
            ),
            element("p", "Point at an image to see its file.", class_="note pointed"),
            key(legend),
            class_="map",
        ),
        note(
            "t-SNE separates many classes better: ",
            element("code", f"python -m supcon_tf report {run.directory} --projection=t-SNE"),
        )
        if projection == "PCA" and len(run.class_names) > 3
        else "",
    )


def _pca(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Returns the first two principal components `[rows, 2]`, and the names of the axes."""
    left, sizes, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    positions = np.zeros([len(vectors), 2])
    shares = np.zeros(2)
    found = min(2, len(sizes))
    positions[:, :found] = left[:, :found] * sizes[:found]
    shares[:found] = sizes[:found] ** 2 / max(float(np.sum(sizes**2)), 1e-12)
    first, second = (
        f"{place} component, {percent(share, 0)} of the variance"
        for place, share in zip(("first", "second"), shares, strict=True)
    )
    return positions, (first, second)


def _t_sne(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, str]]:
    with require_extra('report(projection="t-SNE")', "scikit-learn"):
        from sklearn.manifold import TSNE
    # The perplexity must be below the number of rows.
    perplexity = min(30, (len(vectors) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return tsne.fit_transform(vectors), ("", "")


def _square_axes(positions: NDArray[np.float64]) -> Axes:
    """Returns axes with the same scale in both directions, around all points."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    area = _WIDTH - _BORDER - 20  # pixels
    span = np.maximum(high - low, 1e-9) * 1.06
    # Flat maps keep some height for the label of the axis, and high maps some width.
    pixels = float(np.clip(area * span[1] / span[0], 0.45 * area, 0.8 * area))
    scale = float(np.max(span / (area, pixels)))
    width, height = scale * area, scale * pixels
    (x, y) = (low + high) / 2
    return Axes(
        (x - width / 2, x + width / 2),
        (y - height / 2, y + height / 2),
        width=_WIDTH,
        height=pixels + _BORDER + 10,
        left=_BORDER,
        bottom=_BORDER,
    )


def _colored_classes(
    classes: Sequence[str], wrong: NDArray[np.bool_], class_names: Sequence[str]
) -> list[str]:
    """Returns the classes that have a color and an entry in the legend, by name."""
    present = sorted(set(classes), key=lambda name: (_position(name, class_names), name))
    if len(present) <= min(_MAX_LEGEND, LOOKS):
        return present
    mistakes = dict.fromkeys(present, 0)
    for name, mistake in zip(classes, wrong.tolist(), strict=True):
        mistakes[name] += mistake
    worst = set(sorted(present, key=lambda name: -mistakes[name])[:_SHORT_LEGEND])
    return [name for name in present if name in worst]


def _position(name: str, class_names: Sequence[str]) -> int:
    """Returns the number of a class; combinations of several classes follow."""
    return class_names.index(name) if name in class_names else len(class_names)
