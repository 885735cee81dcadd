"""Grids of trainings, each of which makes a table or a figure: rows that change a recipe."""

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
    """

    name: str
    recipe: str = ""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    teacher: str | None = None
