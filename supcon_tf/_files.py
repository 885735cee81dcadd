"""Files that survive kills and power losses, and directories that one process uses at a time."""

import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import filelock
import numpy as np

_LOCK = ".lock"
_OWNER = ".lock.json"

# The locks of this process, which it holds until it ends.
_locks: dict[pathlib.Path, filelock.BaseFileLock] = {}


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file completely or not at all, also if the machine loses power.

    Args:
        path: the file to create or to replace.
        write: writes the file to the temporary path that it receives, which is in the same
            directory and has the same suffix.
    """
    temporary = temporary_path(path)
    try:
        write(temporary)
        move_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_in_turn(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file atomically while no other process writes it, also on another host.

    The temporary files that killed processes have left are removed. Where the file system has no
    locks, nothing prevents two processes from writing at the same time.

    Args:
        path: the file to create or to replace. A hidden file beside it is the lock.
        write: writes the file, as for `write_atomically`.

    Raises:
        TimeoutError: if another process writes the file for more than a minute.
        OSError: if the file cannot be written.
    """
    lock = filelock.FileLock(path.with_name(f".{path.name}{_LOCK}"))
    with contextlib.suppress(NotImplementedError):
        lock.acquire(timeout=60)
    try:
        if lock.is_locked:
            for leftover in path.parent.glob(f".*.{glob.escape(path.name)}"):
                if leftover.name.removeprefix(".").removesuffix(f".{path.name}").isdecimal():
                    remove(leftover)
        write_atomically(path, write)
    finally:
        lock.release()


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value as indented JSON, completely or not at all."""
    write_atomically(path, lambda name: name.write_text(json.dumps(value, indent=2) + "\n"))


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays in the format npz, completely or not at all."""

    def write(temporary: pathlib.Path) -> None:
        with temporary.open("wb") as file:  # For a path, NumPy would add a suffix.
            np.savez(file, **arrays)

    write_atomically(path, write)


def replace_directory(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a directory completely or not at all.

    Args:
        path: the directory to create or to replace.
        write: creates the directory at the temporary path that it receives.
    """
    temporary = temporary_path(path)
    try:
        write(temporary)
        remove(path)
        temporary.rename(path)
    finally:
        remove(temporary)


def temporary_path(path: pathlib.Path) -> pathlib.Path:
    """Returns the path at which this process writes a file before it takes its name."""
    return path.with_name(f".{os.getpid()}.{path.name}")


def move_durably(source: pathlib.Path, target: pathlib.Path) -> None:
    """Renames a file. A power loss leaves the old or the new content, and not a part of it.

    Args:
        source: the file.
        target: the new path, in the same file system. What exists there is replaced.
    """
    _synchronize(source)
    if target.is_dir():
        remove(target)
    os.replace(source, target)
    _synchronize(target.parent)


def _remove_leftovers(directory: pathlib.Path) -> None:
    """Removes the temporary files of processes that no longer run on this host."""
    for path in directory.glob(".*.*"):
        match = re.fullmatch(r"\.(\d+)\..+", path.name)
        # In a container, an earlier process can have had the number of this one.
        if match and (int(match[1]) == os.getpid() or not _is_running(int(match[1]))):
            remove(path)


def remove(path: pathlib.Path) -> None:
    """Removes a file, or a directory with its content. Nothing happens if it does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def lock_directory(directory: pathlib.Path) -> None:
    """Reserves a directory for this process until it ends. The directory is created if necessary.

    The operating system releases the lock of a process that ends in any way. A process can lock the
    same directory repeatedly. The first time, the temporary files that dead processes have left are
    removed.

    Args:
        directory: the directory, in which the files `.lock` and `.lock.json` are created.

    Raises:
        RuntimeError: if another process has locked the directory, with its host and its process id.
        OSError: if the directory cannot be created or is not writable.
    """
    make_directory(directory)
    path = directory.resolve() / _LOCK
    if path in _locks and path.exists():
        return
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RuntimeError(
            f"{directory} is in use by {_describe_owner(directory)}. Wait until it ends, or choose "
            "another directory"
        ) from None
    except NotImplementedError:
        warnings.warn(
            f"The file system of {directory} has no locks. Do not use the directory in two "
            "processes at the same time",
            stacklevel=2,
        )
    else:
        _locks[path] = lock
        owner = json.dumps({"host": socket.gethostname(), "process": os.getpid()})
        write_atomically(directory / _OWNER, lambda name: name.write_text(owner))
    _remove_leftovers(directory)


def make_directory(directory: pathlib.Path) -> None:
    """Creates a directory and its parents.

    Raises:
        NotADirectoryError: if the path or a parent of it is a file, with the path of the file.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(path for path in (directory, *directory.parents) if path.exists())
        raise NotADirectoryError(
            f"{directory} must be a directory. Remove the file or choose another directory. "
            f"Received: {file}, which is a file"
        ) from None


def _describe_owner(directory: pathlib.Path) -> str:
    try:
        owner = json.loads((directory / _OWNER).read_text())
        return f"process {owner['process']} on host {owner['host']}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def _synchronize(path: pathlib.Path) -> None:
    """Waits until a file or the entries of a directory are on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows does not open directories.
        return
    try:
        with contextlib.suppress(OSError):  # Some network file systems refuse it for directories.
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
