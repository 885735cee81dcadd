"""The directory of a run: the recipe that it trains, and its results."""

import json
import pathlib
import platform
import time
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.epoch_log import read_epoch_log
from experiments.lib.files import write_json

# Fields that do not change the trained weights: they can differ when a run resumes.
NEUTRAL_FIELDS = {"data_dir", "checkpoint_steps", "checkpoints_kept"}


def prepare_run_dir(directory: pathlib.Path, config: ConfigDict, *, chief: bool) -> None:
    """Creates the directory of a run and writes the recipe to config.json.

    A run that ended before its first checkpoint, for example by an error in its first step, leaves
    nothing to resume, and another recipe can use its directory.

    Args:
        directory: the directory of the run.
        config: the recipe.
        chief: whether this process writes files.

    Raises:
        ValueError: if the directory holds checkpoints of another recipe.
    """
    path = directory / "config.json"
    fields = json.loads(config.to_json())
    if path.exists() and any(directory.glob("checkpoints/*.index")):
        before = json.loads(path.read_text())
        names = {*before, *fields} - NEUTRAL_FIELDS
        changed = {name for name in names if before.get(name) != fields.get(name)}
        if changed:
            raise ValueError(
                f"{directory} holds a run with other settings ({', '.join(sorted(changed))}); "
                "choose another --output_dir, or remove the directory."
            )
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_json(path, fields)


def write_results(
    directory: pathlib.Path, config: ConfigDict, *, seconds: float, **metrics: Any
) -> None:
    """Writes results.json: the recipe, versions, metrics, and the log of every epoch.

    Args:
        directory: the directory of the run.
        config: the recipe.
        seconds: time since the process started the run or resumed it.
        **metrics: what else the file holds.
    """
    log = read_epoch_log(directory / "log.csv")
    write_json(
        directory / "results.json",
        {
            "config": json.loads(config.to_json()),
            "versions": {**package_versions(), "supcon_tf": supcon_tf.__version__},
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds_since_start": round(seconds, 1),
            **metrics,
            "history": {
                name: [float(row[name]) for row in log] for name in log[0] if name != "epoch"
            },
        },
    )


def package_versions() -> dict[str, str]:
    """Returns the versions of Python, TensorFlow and Keras."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
