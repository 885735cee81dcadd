"""Grids of trainings that go on where they were stopped."""

import ast
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
from experiments.lib import records
from experiments.lib.classifiers import train_cross_entropy, train_linear, train_teacher
from experiments.lib.divergence import Diverged
from experiments.lib.files import write_json_lines
from experiments.lib.pretraining import pretrain
from experiments.lib.training import MAY_CHANGE, time_left

# Fields whose own fields are arguments, of which a recipe need not name all.
_ARGUMENTS = ("loss", "augmentation", "encoder", "projection_head", "optimizer.arguments")


def run_grid(
    rows: Sequence[Row],
    recipe: pathlib.Path,
    *,
    seeds: Sequence[int],
    changes: Mapping[str, Any],
    path: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> dict[str, records.Line]:
    """Trains what is missing of a grid.

    Args:
        rows: the grid; a teacher's row stands above those that it teaches.
        recipe: the file of the recipe that the rows change.
        seeds: each row is trained with each of them, and taught by the teacher of the same seed.
        changes: changes for all rows that do not make them themselves.
        path: the file of lines; the trainings' own files go to a directory of its name.
        strategy: a strategy of tf.distribute.

    Returns:
        The lines of this grid by their key, those of failed trainings with an `"error"`.

    Raises:
        ValueError: if a row does not fit the recipe, or `path` holds a line of the same training
            although the recipe has changed since; before anything is trained.
    """
    lines = records.read(path)
    trainings = {}
    for seed in seeds:
        for row in rows:
            training = records.identity(recipe.stem, row, rows, changes, seed)
            config = changed(load_recipe(recipe, row.recipe), {**training["changes"], "seed": seed})
            directory = _directory(path, training)
            settings = _digest(config)
            if training["teacher"] is not None:
                teacher = _directory(path, training["teacher"])
                config.teacher.path = str(teacher / "classifier.keras")
            done = lines.get(records.key(training), {})
            if "test" in done and done["settings"] != settings:
                raise ValueError(
                    f"{path} holds a line of {row.name!r} with seed {seed}, but the recipe has "
                    "changed since; remove the line and the training's directory, or choose "
                    f"another --output_dir. Received: {directory}"
                )
            line = {"row": row.name, **training, "settings": settings}
            trainings[records.key(training)] = row, config, directory, line
    missing = [key for key in trainings if "test" not in lines.get(key, {})]
    start = time.monotonic()
    for made, key in enumerate(missing):
        row, config, directory, line = trainings[key]
        print(f"--- {row.name}, seed {config.seed}: {made + 1} of {len(missing)}", end="")
        if made:
            print(f", {time_left(start, made, len(missing) - made)}", end="")
        print(flush=True)
        if equal := [done for done in lines.values() if _is_equal(done, line)]:
            line = {**equal[0], **line}
            print(f"the same training as {equal[0]['row']!r}", flush=True)
        else:
            line |= _timed(row, config, directory, strategy)
        lines[key] = line
        if supcon_tf.distribution.is_chief(strategy):
            write_json_lines(path, lines.values())
        keras.backend.clear_session()
    return {key: lines[key] for key in trainings}


def load_recipe(recipe: pathlib.Path, suffix: str) -> ConfigDict:
    """Loads a recipe of a family.

    Args:
        recipe: the file of the recipe after which the family is named.
        suffix: what the name of this one has in addition, `""` or such as `"_cross_entropy"`.

    Returns:
        What its `get_config` gives.

    Raises:
        ValueError: if there is no such file.
    """
    path = recipe.with_name(f"{recipe.stem}{suffix}.py")
    if not path.is_file():
        raise ValueError(
            f"The grid needs the recipe {path.name} beside `config`. Received: {recipe}"
        )
    return runpy.run_path(str(path))["get_config"]()


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Reads `NAME=VALUE`, where a value that is no Python literal is a string.

    Raises:
        ValueError: if there is no `=`.
    """
    changes = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"`--change` must be NAME=VALUE. Received: {text!r}")
        try:
            changes[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            changes[name] = value
    return changes


def changed(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """Changes fields of a recipe.

    Args:
        config: the recipe.
        changes: values by their full name, such as `"loss.temperature"`. The arguments of losses,
            policies, encoders, projection heads and optimizers may be ones that the recipe leaves
            at their default. A field of fields, such as `"loss"`, can be replaced as a whole.

    Returns:
        The recipe.

    Raises:
        ValueError: if there is no such field.
    """
    config.lock()
    for name, value in changes.items():
        parent, _, field = name.rpartition(".")
        try:
            fields = config
            for part in filter(None, parent.split(".")):
                fields = fields[part]
            if parent in _ARGUMENTS:
                with fields.unlocked():
                    fields[field] = value
            elif isinstance(value, dict):
                fields[field] = ConfigDict(value)
            else:
                fields[field] = value
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"A change must be of a field that the recipe has. Received: {name}={value!r}"
            ) from error
    return config


def _is_equal(done: records.Line, line: records.Line) -> bool:
    """Tells whether a training was made already, with changes that change nothing."""
    return "test" in done and all(done[name] == line[name] for name in ("settings", "teacher"))


def _timed(
    row: Row, config: ConfigDict, directory: pathlib.Path, strategy: tf.distribute.Strategy
) -> dict[str, Any]:
    """Trains a row and returns what came out, or the error."""
    start = time.monotonic()
    try:
        outcome = _train(row, config, directory, strategy)
    except (Exception, Diverged) as error:  # the others shall have their turn
        traceback.print_exc()
        outcome = {"error": f"{type(error).__name__}: {error}"}
    return {**outcome, "seconds": round(time.monotonic() - start, 1)}


def _train(
    row: Row, config: ConfigDict, directory: pathlib.Path, strategy: tf.distribute.Strategy
) -> dict[str, Any]:
    """Trains a row and returns what its results.json says."""
    if row.recipe == "_cross_entropy":
        train_cross_entropy(config, directory, strategy)
    elif row.recipe == "_teacher":
        train_teacher(config, directory, strategy)
    else:
        pretrain(config, directory, strategy)
        directory, encoder = directory / "linear", directory / "encoder.keras"
        train_linear(encoder, config, directory, strategy)
    results = json.loads((directory / "results.json").read_text())
    return {name: results[name] for name in ("test", "tested_on", "versions", "finished")}


def _directory(path: pathlib.Path, training: Mapping[str, Any]) -> pathlib.Path:
    """Returns the directory of a training, with a name that a person can tell."""
    changes = "".join(f"-{name}-{value}" for name, value in training["changes"].items())
    readable = re.sub(r"[^a-z0-9.]+", "_", f"{training['recipe']}{changes}".lower())[:80].strip("_")
    digest = hashlib.sha256(records.key(training).encode()).hexdigest()[:6]
    return path.with_suffix("") / f"{readable}-seed{training['seed']}-{digest}"


def _digest(config: ConfigDict) -> str:
    """Tells settings apart, wherever the data is."""
    fields = json.loads(config.to_json())
    for name in MAY_CHANGE:
        del fields[name]
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
