"""Grids of trainings, each of which makes a table or a figure: rows that change a recipe.

A file of this package has a docstring that begins with the subject and where the papers have it,
and gives what they publish; `ROWS`, the trainings; `CLAIMS`, what the papers find that the rows can
show; and if it is a figure, `X_LABEL`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """A training of a grid.

    Attributes:
        name: what the row is called in the table; also part of a directory's name.
        recipe: what the name of the grid's recipe is followed by: `""` for a contrastive loss and
            a linear classifier, `"_cross_entropy"`, `"_teacher"`, or another file of the family.
        changes: values of the recipe's fields, by their full name such as `"loss.temperature"`.
        teacher: the name of the row, above this one, whose classifier teaches.
        x: the number that the row has on the horizontal axis of a figure.
        series: the name of its line there.
    """

    name: str
    recipe: str = ""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    teacher: str | None = None
    x: float | None = None
    series: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a paper finds.

    Attributes:
        text: the finding, with where it stands.
        better: the name of the row that should have the higher accuracy.
        worse: the name of the other one.
    """

    text: str
    better: str
    worse: str
