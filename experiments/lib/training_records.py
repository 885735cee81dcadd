"""The records of trainings: one JSON object for each training of a grid."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.grids import Row
from experiments.lib.files import read_json_lines, write_in_turn

Record = dict[str, Any]

# Fields that do not change the trained weights: they can differ when a run resumes.
NEUTRAL_FIELDS = {"data_dir", "checkpoint_steps", "checkpoints_kept"}


def identity(
    recipe: str, row: Row, rows: Sequence[Row], changes: Mapping[str, Any], seed: int
) -> Record:
    """Returns what identifies a training.

    The name of the row is no part of it: rows of two grids can be the same training. Neither are
    changes of `NEUTRAL_FIELDS`.

    Args:
        recipe: the name of the recipe that the grid changes.
        row: a row of the grid.
        rows: the grid.
        changes: changes to all rows that do not change the same field.
        seed: the seed of the training.

    Returns:
        `recipe`, `changes`, `seed`, and `teacher`, the identity of the row that teaches or `None`.
        If the row uses the encoder of another one, also `encoder`, the identity of that row.
    """

    def identity_of(name: str | None) -> Record | None:
        if name is None:
            return None
        (earlier,) = (each for each in rows if each.name == name)
        return identity(recipe, earlier, rows, changes, seed)

    all_changes = {**changes, **row.changes}
    fields = {
        "recipe": recipe + row.recipe,
        "changes": {name: x for name, x in all_changes.items() if name not in NEUTRAL_FIELDS},
        "teacher": identity_of(row.teacher),
        "seed": seed,
    }
    # Only if there is one, so that the keys of earlier records stay the same.
    return fields if row.encoder is None else {**fields, "encoder": identity_of(row.encoder)}


def key(record: Mapping[str, Any]) -> str:
    """Returns the identity in a record as a string."""
    names = ["recipe", "changes", "teacher", "seed"]
    if "encoder" in record:
        names.append("encoder")
    return json.dumps({name: record[name] for name in names}, sort_keys=True)


def read(path: pathlib.Path) -> dict[str, Record]:
    """Reads records by their keys; a missing file has none."""
    return {key(record): record for record in read_json_lines(path)}


def add(path: pathlib.Path, record: Record) -> None:
    """Adds a record to a file, or replaces the one of the same training.

    Other processes can add their records to the same file.
    """

    def write(temporary: pathlib.Path) -> None:
        records = {**read(path), key(record): record}
        temporary.write_text("".join(json.dumps(each) + "\n" for each in records.values()))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_in_turn(path, write)


def select(
    records: Mapping[str, Record],
    recipe: str,
    row: Row,
    rows: Sequence[Row],
    changes: Mapping[str, Any] | None = None,
) -> list[Record]:
    """Returns the records of a row, one for each seed, without failed trainings.

    Args:
        records: records by their keys.
        recipe: the name of the recipe that the grid changes.
        row: a row of the grid.
        rows: the grid.
        changes: changes to all rows that do not change the same field.
    """
    seeds = sorted({record["seed"] for record in records.values()})
    keys = [key(identity(recipe, row, rows, changes or {}, seed)) for seed in seeds]
    return [records[each] for each in keys if each in records and "error" not in records[each]]
