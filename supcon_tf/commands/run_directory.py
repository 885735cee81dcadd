"""The directory of a training: its settings, its checkpoints, and the versions of its packages."""

import json
import pathlib
import platform
import uuid
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._files import lock_directory, make_directory, write_json
from supcon_tf._version import __version__
from supcon_tf.callbacks import Checkpoints

_FILES = ("config.json", "log.csv", "results.json", "encoder.keras", "classifier.keras")


def prepare_run_dir(
    directory: pathlib.Path,
    config: Mapping[str, Any],
    *,
    chief: bool,
    inputs: Mapping[str, Any] | None = None,
    neutral: Collection[str] = (),
    hints: Mapping[str, str] | None = None,
) -> Checkpoints:
    """Reserves the directory of a run, writes its settings to config.json, and finds checkpoints.

    Every checkpoint contains the settings and the identifier of the run, which config.json repeats.
    So a training neither resumes with other settings nor from the checkpoints of another run. A run
    that ended before its first checkpoint, for example by an error in its first step, leaves
    nothing to resume, and other settings can use its directory.

    Args:
        directory: the directory of the run.
        config: the settings, as values of JSON, with `checkpoint_steps` and `checkpoints_kept`.
        chief: whether this process writes files.
        inputs: what else the trained weights depend on.
        neutral: names of settings that can differ when the run resumes.
        hints: sentences that the error adds if only the setting of that name differs.

    Returns:
        The callback that saves and restores checkpoints in `directory`/checkpoints.

    Raises:
        ValueError: if the directory holds checkpoints of other settings or of another run.
        RuntimeError: if another process uses the directory.
        OSError: if a path that the run writes cannot be written.
    """
    if chief:
        lock_directory(directory)
        _require_files(directory)
    path = directory / "config.json"
    before = _read_config(path)
    checkpoints = Checkpoints(
        directory / "checkpoints",
        save_freq=config["checkpoint_steps"],
        max_to_keep=config["checkpoints_kept"],
    )
    run_id = before.get("run_id") or uuid.uuid4().hex
    identity = {
        "config": {name: value for name, value in config.items() if name not in neutral},
        "inputs": dict(inputs or {}),
    }
    if checkpoints.saved_fingerprint is not None:
        saved = json.loads(checkpoints.saved_fingerprint)
        _require_same_run(directory, before, saved, identity, hints or {})
        run_id = saved["run_id"]
    checkpoints.fingerprint = json.dumps({"run_id": run_id, **identity}, sort_keys=True)
    if chief:
        write_json(path, {"run_id": run_id, **config})
    return checkpoints


def package_versions() -> dict[str, str]:
    """Returns the versions of Python, TensorFlow, Keras and this library."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "supcon_tf": __version__,
    }


def _require_same_run(
    directory: pathlib.Path,
    before: Mapping[str, Any],
    saved: Mapping[str, Any],
    identity: Mapping[str, Any],
    hints: Mapping[str, str],
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
        hint = hints.get(changed[0], "") if len(changed) == 1 else ""
        raise ValueError(
            f"{directory} holds a run with other settings ({', '.join(changed)}); "
            f"choose another --output_dir, or remove the directory.{hint and ' '}{hint}"
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
