"""Grids of trainings that go on where they were stopped, and their tables."""

import ast
import gc
import hashlib
import json
import pathlib
import re
import runpy
import statistics
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.classifiers import train_cross_entropy, train_linear, train_teacher
from experiments.files import read_json_lines, write_json_lines
from experiments.grids import Row
from experiments.pretraining import pretrain

# Fields whose own fields are arguments, of which a recipe need not name all.
_ARGUMENTS = ("loss", "augmentation", "encoder", "projection_head", "optimizer.arguments")
# Fields that do not change what comes out.
_ELSEWHERE = ("data_dir", "checkpoint_steps", "checkpoints_kept")


def run_grid(
    rows: Sequence[Row],
    recipe: pathlib.Path,
    *,
    seeds: Sequence[int],
    changes: Mapping[str, Any],
    path: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> list[dict[str, Any]]:
    """Trains what is missing of a grid.

    Args:
        rows: the grid; a teacher's row stands above those that it teaches.
        recipe: the file of the recipe that the rows change.
        seeds: each row is trained with each of them, and taught by the teacher of the same seed.
        changes: changes for all rows that do not make them themselves.
        path: the file of lines; the trainings' own files go to a directory of its name.
        strategy: a strategy of tf.distribute.

    Returns:
        The lines of this grid, those of failed trainings with an `"error"`.

    Raises:
        ValueError: if a row does not fit the recipe, or `path` holds a line of the same row and
            seed with other settings; before anything is trained.
    """
    configs = {}
    directories = {}
    for seed in seeds:
        for row in rows:
            directories[row.name, seed] = path.with_suffix("") / f"{_file_name(row.name)}-{seed}"
            every = {**changes, **row.changes, "seed": seed}
            if row.teacher is not None:
                teacher = directories[row.teacher, seed] / "classifier.keras"
                every["teacher.path"] = str(teacher)
            configs[row.name, seed] = changed(_load(recipe, row.recipe), every)
    lines = {(line["row"], line["seed"]): line for line in read_json_lines(path)}
    for key, config in configs.items():
        line = lines.get(key)
        if line is not None and "error" not in line and line["settings"] != _digest(config):
            raise ValueError(
                f"{path} holds a training of {key[0]!r} with seed {key[1]} and other settings; "
                "choose another --output_dir, or remove the line."
            )
    chief = supcon_tf.distribution.is_chief(strategy)
    for seed in seeds:
        for row in rows:
            key = row.name, seed
            if key in lines and "error" not in lines[key]:
                continue
            print(f"--- {row.name}, seed {seed}", flush=True)
            line = {
                "row": row.name,
                "seed": seed,
                "recipe": recipe.stem + row.recipe,
                "changes": {**changes, **row.changes},
                "settings": _digest(configs[key]),
            }
            start = time.monotonic()
            try:
                line |= _train(row, configs[key], directories[key], strategy)
            except Exception as error:  # the others shall have their turn
                traceback.print_exc()
                line["error"] = f"{type(error).__name__}: {error}"
            line["seconds"] = round(time.monotonic() - start, 1)
            lines[key] = line
            if chief:
                write_json_lines(path, lines.values())
            keras.backend.clear_session()
            gc.collect()
    return [lines[row.name, seed] for seed in seeds for row in rows]


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
            at their default.

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
            else:
                fields[field] = value
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"A change must be of a field that the recipe has. Received: {name}={value!r}"
            ) from error
    return config


def table(rows: Sequence[Row], lines: Sequence[Mapping[str, Any]]) -> str:
    """Makes the table of a grid: mean and standard deviation over the seeds."""
    text = "| | test accuracy | seeds | minutes |\n|---|---|---|---|\n"
    for row in rows:
        done = [line for line in lines if line["row"] == row.name and "error" not in line]
        if done:
            accuracies = [line["test"]["accuracy"] for line in done]
            minutes = statistics.mean(line["seconds"] for line in done) / 60
            text += f"| {row.name} | {spread(accuracies)} | {len(done)} | {minutes:.1f} |\n"
    return text


def spread(values: Sequence[float]) -> str:
    """Writes the mean, and the standard deviation of a sample if there are several values."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.4f}"


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


def _load(recipe: pathlib.Path, suffix: str) -> ConfigDict:
    path = recipe.with_name(f"{recipe.stem}{suffix}.py")
    if not path.is_file():
        raise ValueError(
            f"The grid needs the recipe {path.name} beside `config`. Received: {recipe}"
        )
    return runpy.run_path(str(path))["get_config"]()


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")


def _digest(config: ConfigDict) -> str:
    """Tells settings apart, wherever data and teacher are."""
    fields = json.loads(config.to_json())
    for name in _ELSEWHERE:
        del fields[name]
    fields["teacher"]["path"] = bool(fields["teacher"]["path"])
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
