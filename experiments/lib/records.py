"""The lines of JSON that the trainings of grids leave, and what tables say of them."""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.grids import Row
from experiments.lib.files import read_json_lines

Line = dict[str, Any]


def identity(recipe: str, row: Row, rows: Sequence[Row], changes: Mapping, seed: int) -> Line:
    """Tells what is trained, whatever the row is called: rows of two grids may be one training.

    Args:
        recipe: the name of the recipe that the grid changes.
        row: a row of the grid.
        rows: the grid.
        changes: changes for all rows that do not make them themselves.
        seed: of the training.

    Returns:
        `recipe`, `changes`, `seed`, and `teacher`, the same of the row that teaches, if one does.
    """
    teacher = None
    if row.teacher is not None:
        (above,) = (each for each in rows if each.name == row.teacher)
        teacher = identity(recipe, above, rows, changes, seed)
    return {
        "recipe": recipe + row.recipe,
        "changes": {**changes, **row.changes},
        "teacher": teacher,
        "seed": seed,
    }


def key(line: Mapping[str, Any]) -> str:
    """Returns the same text for what is the same training."""
    same = {name: line[name] for name in ("recipe", "changes", "teacher", "seed")}
    return json.dumps(same, sort_keys=True)


def read(path: pathlib.Path) -> dict[str, Line]:
    """Reads lines by their key; none if there is no file."""
    return {key(line): line for line in read_json_lines(path)}


def of_row(
    lines: Mapping[str, Line],
    recipe: str,
    row: Row,
    rows: Sequence[Row],
    changes: Mapping[str, Any] | None = None,
) -> list[Line]:
    """Returns the lines of a row, one for every seed that it was trained with."""
    seeds = sorted({line["seed"] for line in lines.values()})
    keys = [key(identity(recipe, row, rows, changes or {}, seed)) for seed in seeds]
    return [lines[each] for each in keys if each in lines and "error" not in lines[each]]


def table(
    rows: Sequence[Row],
    lines: Mapping[str, Line],
    recipe: str,
    changes: Mapping[str, Any] | None = None,
) -> str:
    """Makes the table of a grid: mean and standard deviation over the seeds."""
    text = "| | test accuracy | seeds | minutes |\n|---|---|---|---|\n"
    for row in rows:
        done = of_row(lines, recipe, row, rows, changes)
        if done:
            accuracy = spread([line["test"]["accuracy"] for line in done])
            minutes = statistics.mean(line["seconds"] for line in done) / 60
            text += f"| {row.name} | {accuracy} | {len(done)} | {minutes:.1f} |\n"
    return text


def spread(values: Sequence[float]) -> str:
    """Writes the mean, and the standard deviation of a sample if there are several values."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.4f}"
