"""Checks that image files can be decoded."""

import contextlib
import functools
import os
import pathlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import tensorflow as tf

from supcon_tf.data.decoding import PixelFormat, decode
from supcon_tf.data.threads import map_in_threads

Path = TypeVar("Path", str, pathlib.Path)

_TRACING = threading.Lock()  # One thread traces a graph, for which the others wait.


def check_readable(paths: Iterable[Path], pixels: PixelFormat) -> None:
    """Checks that image files can be decoded.

    Raises:
        ValueError: if a file cannot be decoded. The error names the file.
    """
    for path, damage in find_unreadable(paths, pixels):
        raise ValueError(describe_unreadable(path, damage))


def find_unreadable(paths: Iterable[Path], pixels: PixelFormat) -> Iterator[tuple[Path, str]]:
    """Decodes image files in threads, and yields those that cannot be decoded, with the reasons."""
    for path, damage in map_in_threads(lambda path: (path, find_damage(path, pixels)), paths):
        if damage is not None:
            yield path, damage


def find_damage(
    path: str | pathlib.Path,
    pixels: PixelFormat = PixelFormat(),  # noqa: B008
) -> str | None:
    """Returns why an image file cannot be decoded, or `None`."""
    name = tf.constant(os.fsencode(path))
    try:
        with _TRACING:
            decode_file = _graph_decoder(pixels)
        decode_file(name)
        return None
    except tf.errors.OpError:
        pass
    try:
        decode(tf.io.read_file(name), pixels)  # the error of a graph is hard to read
    except tf.errors.OpError as error:
        return describe_error(error)
    return None


@functools.cache
def _graph_decoder(pixels: PixelFormat) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a graph that decodes a file. Small images take an eighth of the time in a graph."""

    @tf.function
    def decode_file(name: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            return decode(tf.io.read_file(name), pixels)

    # TensorFlow warns of retracing if several threads wait for the first trace of a `tf.function`.
    return decode_file.get_concrete_function(tf.TensorSpec([], tf.string))


@contextlib.contextmanager
def name_unreadable(path: str | pathlib.Path) -> Iterator[None]:
    """Raises `ValueError`, which names the file, in place of an error of TensorFlow."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(describe_unreadable(path, describe_error(error))) from error


def describe_unreadable(path: str | pathlib.Path, reason: str) -> str:
    """Returns the error for an image file that cannot be decoded."""
    return f"{path} cannot be read as an image. Replace or remove it. Received: {reason}"


def describe_error(error: tf.errors.OpError) -> str:
    """Returns the message of an error without what TensorFlow adds around it."""
    # TensorFlow puts the names of a function and an operation around its sentence.
    return re.sub(r"^\{\{.*?\}\} |\s*\[Op:.*", "", error.message, flags=re.DOTALL)
