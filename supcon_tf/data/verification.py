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


@contextlib.contextmanager
def name_unreadable(path: str | pathlib.Path) -> Iterator[None]:
    """Raises `ValueError`, which names the file, in place of an error of TensorFlow."""
    try:
        yield
    except tf.errors.OpError as error:
        # TensorFlow puts the names of a function and an operation around its sentence.
        reason = re.sub(r"^\{\{.*?\}\} |\s*\[Op:.*", "", error.message, flags=re.DOTALL)
        raise ValueError(
            f"{path} cannot be read as an image. Replace or remove it. Received: {reason}"
        ) from error
