"""Grids of trainings for the tables and figures of the papers: rows that change a recipe.

A module of this package has `ROWS`, the trainings. The grids of `experiments/report.py` also have a
docstring that starts with the subject and its place in the papers and continues with the published
values; `CLAIMS` of the papers that the rows can confirm; `X_LABEL` if they are a figure; and
`SPREADS` if the claim is about the variation of the accuracy over groups of rows.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """A training of a grid.

    Attributes:
        name: the name of the row in the table.
        recipe: follows the name of the recipe of the grid: `""` for a contrastive loss and a linear
            classifier, `"_cross_entropy"`, `"_teacher"`, or another recipe of the family.
        changes: values of fields by their full names, such as `"loss.temperature"`.
        teacher: the name of an earlier row, whose classifier is the teacher.
        encoder: the name of an earlier row that has none of these. The second stage trains on its
            encoder; this row has no first stage.
        x: the position on the horizontal axis of the figure.
        series: the name of the line in the figure.
    """

    name: str
    recipe: str = ""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    teacher: str | None = None
    encoder: str | None = None
    x: float | None = None
    series: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim that one row is better than another.

    Attributes:
        text: the claim, with its place in the paper if it is from one.
        better: the name of the row with the higher accuracy.
        worse: the name of the row with the lower accuracy.
    """

    text: str
    better: str
    worse: str


def select_rows(rows: Sequence[Row], pattern: str) -> list[Row]:
    """Selects rows by their names.

    Args:
        rows: the grid.
        pattern: a regular expression that matches the whole names of the rows.

    Returns:
        The rows in the order of the grid, with the rows whose teacher or encoder they use.

    Raises:
        ValueError: if no name matches, or `pattern` is not a regular expression.
    """
    try:
        names = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"--rows must be a regular expression: {error}. Received: {pattern!r}"
        ) from error
    selected: list[Row] = []
    used: set[str | None] = set()
    for row in reversed(rows):  # A row uses rows before it.
        if names.fullmatch(row.name) or row.name in used:
            selected.insert(0, row)
            used |= {row.teacher, row.encoder}
    if not selected:
        raise ValueError(
            f"--rows must match one of {[row.name for row in rows]}. Received: {pattern!r}"
        )
    return selected
