"""Trains the rows of a grid, and skips the trainings that already have a record."""

import dataclasses
import hashlib
import json
import pathlib
import re
import runpy
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.grids import Row
from experiments.lib import training_records
from experiments.lib.classifiers import train_cross_entropy, train_linear, train_teacher
from experiments.lib.pretraining import pretrain
from experiments.lib.training_records import NEUTRAL_FIELDS, Record
from supcon_tf._files import lock_directory
from supcon_tf.commands.divergence import TrainingDiverged
from supcon_tf.commands.remaining_time import format_remaining_time

# Fields that hold arguments: a change can add arguments that the recipe does not state.
_ARGUMENT_FIELDS = (
    "loss",
    "augmentation",
    "encoder",
    "projection_head",
    "optimizer.arguments",
)
# The files of earlier trainings that a row uses, by the field of its record.
_USED_FILES = {"teacher": "classifier.keras", "encoder": "encoder.keras"}


@dataclasses.dataclass(frozen=True)
class _Training:
    """A training of a grid.

    Attributes:
        row: the row that it trains.
        config: the changed recipe.
        record: the fields of its record that are known before it is trained.
    """

    row: Row
    config: ConfigDict
    record: Record


def run_grid(
    rows: Sequence[Row],
    recipe: pathlib.Path,
    *,
    seeds: Sequence[int],
    changes: Mapping[str, Any],
    path: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> dict[str, Record]:
    """Trains the rows of a grid that have no record of a result.

    Several processes can train the same grid: each takes the trainings that no other one has
    started. The workers of a multi-worker strategy take all trainings at the start instead.

    Args:
        rows: the grid. The row of a teacher or an encoder precedes the rows that use it.
        recipe: the file of the recipe that the rows change.
        seeds: trains every row with each seed; the teacher of a row has the same seed.
        changes: changes to all rows that do not change the same field.
        path: the file of records. The runs are in a directory with the same name, without suffix.
        strategy: a strategy of tf.distribute.

    Returns:
        The records of the grid by their keys; a failed training has an `"error"`. Trainings that
        still run in another process have none.

    Raises:
        ValueError: if a row does not fit the recipe, the recipe of a finished training has changed,
            or a record is damaged; before any training starts.
        FileNotFoundError: if a row uses a finished training whose files are gone; before any
            training starts.
        RuntimeError: if `strategy` has several workers, and another process has started a training
            that has no result.
    """
    records = training_records.read(path)
    trainings = {}
    for seed in seeds:
        for row in rows:
            training = _plan(row, rows, recipe, changes, seed)
            key = training_records.key(training.record)
            _require_same_settings(training, records.get(key, {}), path)
            trainings[key] = training
    missing = [key for key in trainings if "test" not in records.get(key, {})]
    _require_used_files(trainings, missing, records, path)
    untried = {key: records.get(key) for key in missing}
    chief = supcon_tf.distribution.is_chief(strategy)
    # All workers have to train the same rows, so they cannot look for the free ones one by one.
    takes_all = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if takes_all and chief:
        for key in missing:
            lock_directory(run_directory(path, trainings[key].record))
    start = time.monotonic()
    for finished, key in enumerate(missing):
        training = trainings[key]
        if not takes_all:
            if not _take(training, untried, path):
                continue
            records = training_records.read(path)
        header = f"--- {training.row.name}, seed {training.config.seed}"
        header += f": {finished + 1} of {len(missing)}"
        if finished:
            header += f", {format_remaining_time(start, finished, len(missing) - finished)}"
        print(header, flush=True)
        records[key] = _train_or_reuse(training, records, path, strategy)
        if chief:
            training_records.add(path, records[key])
        keras.backend.clear_session()
    if not takes_all:
        records = training_records.read(path)
    if elsewhere := [trainings[key].row.name for key in missing if key not in records]:
        print(
            "not trained: another process trains these rows, or what they use; run the command "
            f"again: {', '.join(elsewhere)}",
            flush=True,
        )
    return {key: records[key] for key in trainings if key in records}


def load_recipe(recipe: pathlib.Path, suffix: str = "") -> ConfigDict:
    """Loads a recipe of a family.

    Args:
        recipe: the file of the recipe after which the family is named.
        suffix: follows this name in the name of the recipe to load, such as `"_cross_entropy"`.

    Raises:
        ValueError: if the file does not exist.
    """
    path = recipe.with_name(f"{recipe.stem}{suffix}.py")
    if not path.is_file():
        raise ValueError(f"The recipe {path} must exist. Received: --config={recipe}")
    return runpy.run_path(str(path))["get_config"]()


def apply_changes(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """Changes fields of a recipe.

    Args:
        config: the recipe, which is changed.
        changes: values by the full name of the field, such as `"loss.temperature"`. An argument of
            a loss, policy, encoder, projection head or optimizer can be one that the recipe does
            not state. A field with fields of its own, such as `"loss"`, is replaced as a whole.

    Returns:
        The recipe.

    Raises:
        ValueError: if a field does not exist.
    """
    config.lock()
    for name, value in changes.items():
        parent, _, field = name.rpartition(".")
        try:
            fields = config
            for part in filter(None, parent.split(".")):
                fields = fields[part]
            if parent in _ARGUMENT_FIELDS:
                with fields.unlocked():
                    fields[field] = value
            elif isinstance(value, dict):
                fields[field] = ConfigDict(value)
            else:
                fields[field] = value
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"A change must be to a field of the recipe. Received: {name}={value!r}"
            ) from error
    return config


def run_directory(path: pathlib.Path, record: Record) -> pathlib.Path:
    """Returns the directory of the run of a record.

    Args:
        path: the file of records.
        record: the record, whose run can be the run of an equal training.
    """
    return path.with_suffix("") / record["run"]


def _plan(
    row: Row, rows: Sequence[Row], recipe: pathlib.Path, changes: Mapping[str, Any], seed: int
) -> _Training:
    _require_valid_uses(row, rows)
    identity = training_records.identity(recipe.stem, row, rows, changes, seed)
    all_changes = {**changes, **row.changes, "seed": seed}
    config = apply_changes(load_recipe(recipe, row.recipe), all_changes)
    record = {"row": row.name, **identity, "settings": _digest(config), "run": _run_name(identity)}
    return _Training(row, config, record)


def _require_valid_uses(row: Row, rows: Sequence[Row]) -> None:
    earlier = {each.name: each for each in rows[: rows.index(row)]}
    if not {row.teacher, row.encoder} <= {None, *earlier}:
        raise ValueError(f"A row can use only rows before it. Received: {row}")
    if row.encoder is not None and (
        row.recipe in ("_cross_entropy", "_teacher") or earlier[row.encoder].encoder is not None
    ):
        raise ValueError(
            "A row with an encoder must have a second stage, and name a row without an encoder. "
            f"Received: {row}"
        )


def _run_name(identity: Record) -> str:
    """Returns a readable name for the directory of a training."""
    changes = "".join(f"-{name}-{value}" for name, value in identity["changes"].items())
    readable = re.sub(r"[^a-z0-9.]+", "_", f"{identity['recipe']}{changes}".lower())
    digest = hashlib.sha256(training_records.key(identity).encode()).hexdigest()[:6]
    return f"{readable[:80].strip('_')}-seed{identity['seed']}-{digest}"


def _take(training: _Training, untried: Mapping[str, Record | None], path: pathlib.Path) -> bool:
    """Reserves a training for this process.

    Args:
        training: the training.
        untried: the records at the start, or `None`, of the trainings without a result.
        path: the file of records.

    Returns:
        Whether the training is reserved: no other process runs it or has run it meanwhile.
    """
    key = training_records.key(training.record)
    for used in _used_keys(training).values():
        # With the same grid, the process that trains it takes this training afterwards.
        if used in untried and training_records.read(path).get(used) == untried[used]:
            return False
    try:
        lock_directory(run_directory(path, training.record))
    except RuntimeError:
        return False
    return training_records.read(path).get(key) == untried[key]


def _require_same_settings(training: _Training, record: Record, path: pathlib.Path) -> None:
    if "test" in record and record["settings"] != training.record["settings"]:
        raise ValueError(
            f"{path} holds a record of {training.row.name!r} with seed {training.config.seed}, but "
            "the recipe has changed; remove the record and the directory of the training, or "
            f"choose another --output_dir. Received: {run_directory(path, training.record)}"
        )


def _used_keys(training: _Training) -> dict[str, str]:
    """Returns the keys of the earlier trainings that a training uses, by names in `_USED_FILES`."""
    identities = {name: training.record.get(name) for name in _USED_FILES}
    return {name: training_records.key(each) for name, each in identities.items() if each}


def _used_files(
    training: _Training, records: Mapping[str, Record], path: pathlib.Path
) -> dict[str, pathlib.Path]:
    """Returns the files of these trainings, which must have records."""
    return {
        name: run_directory(path, records[key]) / _USED_FILES[name]
        for name, key in _used_keys(training).items()
    }


def _require_used_files(
    trainings: Mapping[str, _Training],
    missing: Sequence[str],
    records: Mapping[str, Record],
    path: pathlib.Path,
) -> None:
    used = {item for user in missing for item in _used_keys(trainings[user]).items()}
    files = {
        run_directory(path, records[key]) / _USED_FILES[name]
        for name, key in used
        if key not in missing
    }
    gone = [str(file) for file in sorted(files) if not file.is_file()]
    if gone:
        raise FileNotFoundError(
            "Rows without a result use files of finished trainings that are gone; remove the "
            f"records of these runs from {path} to train them again. Received: {gone}"
        )


def _is_equal(record: Record, other: Record) -> bool:
    """Returns whether a finished training has the same resolved recipe as another one."""
    names = ("settings", *_USED_FILES)
    return "test" in record and all(record.get(name) == other.get(name) for name in names)


def _train_or_reuse(
    training: _Training,
    records: Mapping[str, Record],
    path: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> Record:
    """Returns the record of a training: of an equal one, or after it has run or failed."""
    for record in records.values():
        if _is_equal(record, training.record):
            print(f"the same training as {record['row']!r}", flush=True)
            return {**record, **training.record, "run": record["run"]}
    files = _used_files(training, records, path)
    if "teacher" in files:
        training.config.teacher.path = str(files["teacher"])
    directory = run_directory(path, training.record)
    start = time.monotonic()
    try:
        outcome = _train(training, files.get("encoder"), directory, strategy)
    except (Exception, TrainingDiverged) as error:  # The other trainings still have to run.
        traceback.print_exc()
        outcome = {"error": f"{type(error).__name__}: {error}"}
    return {**training.record, **outcome, "seconds": round(time.monotonic() - start, 1)}


def _train(
    training: _Training,
    encoder: pathlib.Path | None,
    directory: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> Record:
    """Trains the stages of a row; only the second one if `encoder` is given.

    Returns:
        The test results.
    """
    recipe, config = training.row.recipe, training.config
    if recipe == "_cross_entropy":
        train_cross_entropy(config, directory, strategy)
    elif recipe == "_teacher":
        train_teacher(config, directory, strategy)
    else:
        if encoder is None:
            pretrain(config, directory, strategy)
            encoder = directory / "encoder.keras"
        directory = directory / "linear"
        train_linear(encoder, config, directory, strategy)
    results = json.loads((directory / "results.json").read_text())
    return {name: results[name] for name in ("test", "tested_on", "versions", "finished")}


def _digest(config: ConfigDict) -> str:
    """Returns a digest of the fields that change the result."""
    fields = json.loads(config.to_json())
    for name in NEUTRAL_FIELDS:
        del fields[name]
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
