"""Checks that image files can be decoded."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

import tensorflow as tf

from supcon_tf.data.sources import decode
from supcon_tf.data.threads import map_in_threads


def check_readable(paths: Iterable[str | pathlib.Path], channels: int) -> None:
    """Checks that image files can be decoded.

    Raises:
        ValueError: if a file cannot be decoded. The error names the file.
    """
    for _ in map_in_threads(lambda path: _check_file(path, channels), paths):
        pass


def _check_file(path: str | pathlib.Path, channels: int) -> None:
    with name_unreadable(path):
        decode(tf.io.read_file(os.fsencode(path)), channels)


def find_damage(path: str) -> str | None:
    """Returns why an image file cannot be decoded, or `None`."""
    try:
        decode(tf.io.read_file(os.fsencode(path)), channels=3)
    except tf.errors.OpError as error:
        return _explain(error)
    return None


@contextlib.contextmanager
def name_unreadable(path: str | pathlib.Path) -> Iterator[None]:
    """Raises `ValueError`, which names the file, in place of an error of TensorFlow."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(describe_unreadable(path, _explain(error))) from error


def describe_unreadable(path: str | pathlib.Path, reason: str) -> str:
    """Returns the error for an image file that cannot be decoded."""
    return f"{path} cannot be read as an image. Replace or remove it. Received: {reason}"


def _explain(error: tf.errors.OpError) -> str:
    # TensorFlow puts the names of a function and an operation around its sentence.
    return re.sub(r"^\{\{.*?\}\} |\s*\[Op:.*", "", error.message, flags=re.DOTALL)
