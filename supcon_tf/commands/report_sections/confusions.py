"""Which classes are taken for which others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Markup, element, percent
from supcon_tf.commands.page import note, section
from supcon_tf.commands.thumbnails import png_address

_MAX_TABLE = 30  # With more classes, the matrix is a picture without names.
_MAX_PAIRS = 15
_RIGHT, _WRONG = (47, 111, 181), (200, 50, 40)


def confusion_counts(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Returns the number of images `[true class, predicted class]`."""
    cells = np.bincount(labels * classes + predictions, minlength=classes**2)
    return cells.reshape(classes, classes)


def most_frequent_confusions(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Returns the pairs of a true and another predicted class, the most frequent first."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_PAIRS]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [(int(true), int(predicted)) for true, predicted in pairs if wrong[true, predicted]]


def confusions(counts: NDArray[np.int64], class_names: Sequence[str]) -> Markup:
    """Returns a section with the confusion matrix and the most frequent confusions.

    Args:
        counts: result of `confusion_counts`.
        class_names: one name per class.
    """
    matrix = _table(counts, class_names) if len(counts) <= _MAX_TABLE else _picture(counts)
    return section(
        "Confusions",
        matrix,
        element("h3", "The most frequent confusions"),
        _pairs(counts, class_names),
    )


def _pairs(counts: NDArray[np.int64], class_names: Sequence[str]) -> Markup:
    pairs = most_frequent_confusions(counts)
    if not pairs:
        return element("p", "There are none.")
    head = element(
        "tr",
        (element("th", name, scope="col") for name in ("true class", "predicted class")),
        (
            element("th", name, scope="col", class_="number")
            for name in ("images", "share of the true class")
        ),
    )
    rows = (
        element(
            "tr",
            element("td", class_names[true], class_="name"),
            element("td", class_names[predicted], class_="name"),
            element("td", f"{counts[true, predicted]:,}", class_="number"),
            element("td", percent(counts[true, predicted] / counts[true].sum()), class_="number"),
        )
        for true, predicted in pairs
    )
    table = element("table", element("thead", head), element("tbody", rows), class_="list")
    return element("div", table, class_="scroll")


def _table(counts: NDArray[np.int64], class_names: Sequence[str]) -> Markup:
    head = element(
        "tr",
        element("td"),
        (element("th", element("span", name), scope="col", title=name) for name in class_names),
    )
    rows = (
        element(
            "tr",
            element("th", class_names[true], scope="row"),
            (
                _cell(int(count), count / max(row.sum(), 1), true == predicted)
                for predicted, count in enumerate(row)
            ),
        )
        for true, row in enumerate(counts)
    )
    table = element(
        "table",
        element("thead", head),
        element("tbody", rows),
        class_="matrix",
        aria_label="Confusion matrix",
    )
    return element(
        "figure",
        element("div", table, class_="scroll"),
        element(
            "figcaption",
            "Number of test images. Rows are true classes, columns are predicted classes. Blue is "
            "right, red is wrong; the more images of the row, the stronger.",
        ),
    )


def _cell(count: int, share: float, right: bool) -> Markup:
    color = "var(--right-cell)" if right else "var(--wrong-cell)"
    strength = round(100 * share**0.5)
    style = f"background:color-mix(in srgb, {color} {strength}%, transparent)" if count else None
    return element("td", f"{count:,}" if count else "", style=style)


def _picture(counts: NDArray[np.int64]) -> Markup:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colors = np.where(np.eye(len(counts), dtype=bool)[..., None], _RIGHT, _WRONG)
    strength = np.round(255 * np.sqrt(shares))[..., None]
    pixels = np.concatenate([colors, strength], axis=-1).astype(np.uint8)
    classes = len(counts)
    text = (
        f"Rows are the {classes} true classes, columns the predicted classes, both in the order of "
        "their names from the top left. Blue is right, red is wrong; the more images of the row, "
        "the stronger."
    )
    return element(
        "figure",
        element(
            "img",
            src=png_address(pixels),
            alt=f"Confusion matrix. {text}",
            class_="heat small" if classes <= 320 else "heat",
        ),
        element("figcaption", text),
    )


def confusion_note() -> Markup:
    """Returns what a report on images with several classes does not have, and why."""
    return note(
        "A confusion matrix and a threshold of unknown images do not apply, because an image can "
        "have several classes or none."
    )
