"""The directory of a run: the recipe that it trains, its checkpoints, and its results."""

import json
import pathlib
import platform
import time
import uuid
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.epoch_log import read_epoch_log
from experiments.lib.files import write_json
from experiments.lib.learning_rates import ENDLESS_DECAYS
from supcon_tf._files import lock_directory, make_directory
from supcon_tf.callbacks import Checkpoints

# Fields that do not change the trained weights: they can differ when a run resumes.
NEUTRAL_FIELDS = {"data_dir", "checkpoint_steps", "checkpoints_kept"}

_FILES = ("config.json", "log.csv", "results.json", "encoder.keras", "classifier.keras")


def prepare_run_dir(
    directory: pathlib.Path,
    config: ConfigDict,
    *,
    chief: bool,
    inputs: Mapping[str, Any] | None = None,
) -> Checkpoints:
    """Reserves the directory of a run, writes the recipe to config.json, and finds checkpoints.

    Every checkpoint contains the recipe and the identifier of the run, which config.json repeats.
    So a training neither resumes with another recipe nor from the checkpoints of another run. A run
    that ended before its first checkpoint, for example by an error in its first step, leaves
    nothing to resume, and another recipe can use its directory.

    Args:
        directory: the directory of the run.
        config: the recipe.
        chief: whether this process writes files.
        inputs: what else the trained weights depend on.

    Returns:
        The callback that saves and restores checkpoints in `directory`/checkpoints.

    Raises:
        ValueError: if the directory holds checkpoints of another recipe or run.
        RuntimeError: if another process uses the directory.
        OSError: if a path that the run writes cannot be written.
    """
    fields = json.loads(config.to_json())
    if chief:
        lock_directory(directory)
        _require_files(directory)
    path = directory / "config.json"
    before = _read_config(path)
    checkpoints = Checkpoints(
        directory / "checkpoints",
        save_freq=config.checkpoint_steps,
        max_to_keep=config.checkpoints_kept,
    )
    run_id = before.get("run_id") or uuid.uuid4().hex
    if checkpoints.saved_fingerprint is not None:
        saved = json.loads(checkpoints.saved_fingerprint)
        _require_same_run(directory, before, saved, _identity(fields, inputs))
        run_id = saved["run_id"]
    checkpoints.fingerprint = json.dumps(
        {"run_id": run_id, **_identity(fields, inputs)}, sort_keys=True
    )
    if chief:
        write_json(path, {"run_id": run_id, **fields})
    return checkpoints


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
    names = [name for name in log[0] if name != "epoch"] if log else []
    write_json(
        directory / "results.json",
        {
            "config": json.loads(config.to_json()),
            "versions": {**package_versions(), "supcon_tf": supcon_tf.__version__},
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds_since_start": round(seconds, 1),
            **metrics,
            "history": {name: [float(row[name]) for row in log] for name in names},
        },
    )


def package_versions() -> dict[str, str]:
    """Returns the versions of Python, TensorFlow and Keras."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _identity(fields: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns what the trained weights depend on."""
    neutral = set(NEUTRAL_FIELDS)
    if _decay(fields) in ENDLESS_DECAYS:
        neutral.add("epochs")  # A longer training has the same steps, and then more.
    kept = {name: value for name, value in fields.items() if name not in neutral}
    return {"config": kept, "inputs": dict(inputs or {})}


def _decay(fields: Mapping[str, Any]) -> str | None:
    return fields.get("optimizer", {}).get("schedule", {}).get("name")


def _require_same_run(
    directory: pathlib.Path,
    before: Mapping[str, Any],
    saved: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> None:
    """Raises `ValueError` unless the checkpoints belong to this run."""
    if before.get("run_id", saved["run_id"]) != saved["run_id"]:
        raise ValueError(
            f"{directory}/checkpoints holds checkpoints of another run, which were copied there. "
            f"Remove them, or choose another --output_dir. Received: run {saved['run_id']}, where "
            f"config.json has run {before['run_id']}"
        )
    changed = [
        name
        for part in ("config", "inputs")
        for name in sorted({*identity[part], *saved[part]})
        if identity[part].get(name) != saved[part].get(name)
    ]
    if changed:
        hint = ""
        if changed == ["epochs"]:
            hint = (
                f" A schedule that ends with the training ({_decay(identity['config'])}) has other "
                "learning rates from the first step on, so this run cannot be made longer. "
                f"Schedules that can be continued: {', '.join(ENDLESS_DECAYS)}."
            )
        raise ValueError(
            f"{directory} holds a run with other settings ({', '.join(changed)}); "
            f"choose another --output_dir, or remove the directory.{hint}"
        )


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    """Reads config.json. A warning reports damage; checkpoints contain the same fields."""
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_bytes())
        if isinstance(fields, dict):
            return fields
    except ValueError:
        pass
    warnings.warn(f"{path} is damaged and is written again", stacklevel=3)
    return {}


def _require_files(directory: pathlib.Path) -> None:
    """Raises `OSError` if directories have the names of files, or files those of directories."""
    for name in _FILES:
        if (directory / name).is_dir():
            raise IsADirectoryError(
                f"{directory / name} must be a file. Remove the directory of that name, or choose "
                "another --output_dir"
            )
    for name in ("checkpoints", "tensorboard"):
        if (directory / name).exists():
            make_directory(directory / name)
