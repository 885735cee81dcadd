"""Files on a local or mounted disk, and files in object stores."""

import os
from typing import Any

import tensorflow as tf


def is_remote(path: str) -> bool:
    """Returns whether a path is a URL, such as `gs://bucket/file`, that `tf.io.gfile` opens."""
    return "://" in path


def open_file(path: str) -> Any:
    """Opens a file to read bytes. A remote file is opened when it is read."""
    if is_remote(path):
        return tf.io.gfile.GFile(path, "rb")
    return open(path, "rb", buffering=0)


def file_version(status: os.stat_result) -> tuple[int, int]:
    """Returns what changes if a file changes: its size, and its time in nanoseconds."""
    return status.st_size, status.st_mtime_ns


def read_version(path: str) -> tuple[int, int]:
    """Returns the version of a file.

    Raises:
        FileNotFoundError: if it does not exist.
    """
    if not is_remote(path):
        return file_version(os.stat(path))
    try:
        status = tf.io.gfile.stat(path)
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(f"{path} must be a file. Received: no such file") from error
    return status.length, status.mtime_nsec


def version_of_open_file(file: Any, path: str) -> tuple[int, int]:
    """Returns the version of a file that `open_file` has opened.

    Raises:
        FileNotFoundError: if it is remote and does not exist.
    """
    return read_version(path) if is_remote(path) else file_version(os.fstat(file.fileno()))
