"""The files of checkpoints: written completely or not at all, and found again."""

import pathlib
import re
import shutil
import warnings
from typing import Any

import tensorflow as tf

from supcon_tf._files import move_durably, remove, temporary_path

NAME = "checkpoint"


def write_checkpoint(checkpoint: tf.train.Checkpoint, directory: pathlib.Path, step: int) -> str:
    """Writes a checkpoint under a temporary name, and gives it its name: the index last.

    Args:
        checkpoint: what to write.
        directory: the directory of the checkpoints.
        step: the number in the name of the checkpoint.

    Returns:
        The path of the checkpoint, without the suffixes of its files.
    """
    path = directory / f"{NAME}-{step}"
    temporary = temporary_path(path)
    try:
        checkpoint.write(str(temporary / path.name))
        for part in sorted(temporary.iterdir(), key=_is_index):
            move_durably(part, directory / part.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return str(path)


def remove_oldest(directory: pathlib.Path, max_to_keep: int) -> None:
    """Removes all but the newest checkpoints: the index of each first, without which it is none."""
    for path in list_newest_first(directory)[max_to_keep:]:
        for part in sorted(_parts(path), key=_is_index, reverse=True):
            remove(part)


def list_newest_first(directory: pathlib.Path) -> list[str]:
    """Returns the paths of the complete checkpoints, whose index takes its name last."""
    paths = {
        int(match[1]): str(path.with_suffix(""))
        for path in directory.glob(f"{NAME}-*.index")
        if (match := re.fullmatch(rf"{NAME}-(\d+)", path.stem))
    }
    return [paths[number] for number in sorted(paths, reverse=True)]


def _parts(path: str) -> list[pathlib.Path]:
    """Returns the files of a checkpoint."""
    return list(pathlib.Path(path).parent.glob(f"{pathlib.Path(path).name}.*"))


def _is_index(part: pathlib.Path) -> bool:
    return part.suffix == ".index"


def remove_partial_checkpoints(directory: pathlib.Path) -> None:
    """Removes the parts without an index that a killed process has left."""
    complete = set(list_newest_first(directory))
    for part in directory.glob(f"{NAME}-*.data-*"):
        if str(part.with_suffix("")) not in complete:
            remove(part)


def find_newest_intact(directory: pathlib.Path) -> str | None:
    """Returns the path of the newest checkpoint that is not damaged, or `None` without checkpoints.

    Raises:
        RuntimeError: if all checkpoints are damaged.
    """
    paths = list_newest_first(directory)
    for path in paths:
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # Verifies the checksum.
            return path
        except Exception as error:  # TensorFlow raises errors of many types.
            warnings.warn(
                f"{path} is damaged and skipped. The previous checkpoint is used. Received: "
                f"{error}",
                stacklevel=3,
            )
    if paths:
        raise RuntimeError(
            f"All checkpoints are damaged. Remove them to start a new run. Received: {paths}"
        )
    return None


def read_variable(path: str, name: str) -> Any:
    """Reads a variable that a checkpoint contains beside the state of the model.

    Raises:
        ValueError: if the checkpoint has no such variable.
    """
    reader = tf.train.load_checkpoint(path)
    key = f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
    if not reader.has_tensor(key):
        raise ValueError(
            f"{path} must be a checkpoint that this version of supcon_tf wrote. Choose another "
            f"directory or remove the checkpoints there. Received: a checkpoint without {name!r}"
        )
    return reader.get_tensor(key)
