"""The accuracy of each class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Markup, element, join, percent
from supcon_tf.commands.page import note, section
from supcon_tf.commands.run_outputs import Run

_MAX_ROWS = 30  # With more classes, the page begins with those of the lowest accuracy.
_SHORT_ROWS = 20


def class_accuracy(run: Run, predictions: NDArray[np.int64]) -> Markup:
    """Returns a section with the accuracy of each class, the lowest first."""
    labels, classes = run.test.labels, len(run.class_names)
    total = np.bincount(labels, minlength=classes)
    correct = np.bincount(labels[predictions == labels], minlength=classes)
    trained = np.bincount(run.train.labels, minlength=classes)
    tested = np.flatnonzero(total)
    order = tested[np.argsort((correct / np.maximum(total, 1))[tested], kind="stable")].tolist()
    rows = [
        (
            run.class_names[label],
            correct[label] / total[label],
            (f"{correct[label]:,} of {total[label]:,}", f"{trained[label]:,}"),
        )
        for label in order
    ]
    untested = [run.class_names[label] for label in np.flatnonzero(total == 0).tolist()]
    return section(
        "Accuracy of each class",
        bar_table(("class", "accuracy", "right", "training images"), rows),
        note("Without test images: ", ", ".join(untested)) if untested else "",
    )


def bar_table(headings: Sequence[str], rows: Sequence[tuple[str, float, Sequence[str]]]) -> Markup:
    """Returns a table of names with a fraction as a bar and other columns.

    Long tables show the first rows, and all of them on demand.

    Args:
        headings: the names of the columns: of the name, the fraction, and the others.
        rows: the name, the fraction, and the other columns of each row.
    """
    if len(rows) <= _MAX_ROWS:
        return _table(headings, rows)
    return join(
        element("h3", f"The {_SHORT_ROWS} classes with the lowest {headings[1]}"),
        _table(headings, rows[:_SHORT_ROWS]),
        element(
            "details",
            element("summary", f"All {len(rows)} classes"),
            _table(headings, rows),
        ),
    )


def _table(headings: Sequence[str], rows: Sequence[tuple[str, float, Sequence[str]]]) -> Markup:
    name, fraction, *others = headings
    head = element(
        "tr",
        element("th", name, scope="col"),
        element("th", fraction, scope="col", colspan=2),
        (element("th", other, scope="col", class_="number") for other in others),
    )
    body = (
        element(
            "tr",
            element("th", row_name, scope="row"),
            element("td", element("i", style=f"width:{100 * share:.1f}%"), class_="bar"),
            element("td", percent(share), class_="number"),
            (element("td", cell, class_="number") for cell in cells),
        )
        for row_name, share, cells in rows
    )
    table = element("table", element("thead", head), element("tbody", body), class_="list")
    return element("div", table, class_="scroll")
