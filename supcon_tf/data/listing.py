"""The names of all files below a directory, in little memory."""

import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from supcon_tf.data.threads import THREADS_FOR_DISKS, map_in_threads

# The clocks of file systems have steps of up to two seconds. A change within the step of a listing
# does not change the time again.
_CLOCK_STEP_NS = 2_000_000_000

_SEPARATOR = "\0"  # not a part of any name


class Directory(NamedTuple):
    """The entries of a directory that are not hidden.

    A joined string takes a third of the memory of a list.

    Attributes:
        modified: the time of the last change of the entries in nanoseconds, or 0 if a later change
            can have the same time.
        changed: the time of the last change of the directory itself in nanoseconds. Unlike
            `modified`, no program can set it. On Windows, it is the time of the creation.
        directories: the sorted names of the directories and of the links to directories, joined.
        files: the sorted names of all others, joined.
    """

    modified: int
    changed: int
    directories: str
    files: str

    @property
    def directory_names(self) -> list[str]:
        """The names of the directories."""
        return self.directories.split(_SEPARATOR) if self.directories else []

    @property
    def file_names(self) -> list[str]:
        """The names of the files."""
        return self.files.split(_SEPARATOR) if self.files else []


# The directories by their paths below a root, which itself has the path "".
Listing = dict[str, Directory]


class _Place(NamedTuple):
    """A directory to list: its path below the root, and the identities of those that contain it."""

    path: str
    parents: frozenset[tuple[int, int]]


def list_directories(root: str, known: Mapping[str, Directory] | None = None) -> Listing:
    """Lists a directory and all directories below it, in threads.

    Symbolic links to directories are followed. A link to a directory that contains the link is
    not, because it leads to the same files again. Hidden files and directories are skipped.

    Args:
        root: the directory.
        known: an earlier listing. Only the directories that have changed since are listed again.

    Returns:
        The directories that exist. A missing root has an empty listing.

    Raises:
        PermissionError: if a directory cannot be read.
    """
    known = known or {}
    listing: Listing = {}
    level = [_Place("", frozenset())]
    while level:
        below = []
        results = map_in_threads(lambda place: _visit(root, place, known), level, THREADS_FOR_DISKS)
        for place, result in zip(level, results, strict=True):
            if result is not None:
                listing[place.path], parents = result
                names = listing[place.path].directory_names
                below += [_Place(os.path.join(place.path, name), parents) for name in names]
        level = below
    return listing


def list_directory(path: str) -> Directory:
    """Lists one directory, and not those in it.

    Raises:
        OSError: if it cannot be read.
    """
    status = os.stat(path)  # before the entries, so that a later change has another time
    settled = is_settled(status.st_mtime_ns)
    directories: list[str] = []
    files: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            (directories if _holds(entry.is_dir) else files).append(entry.name)
            # What a link leads to can appear or vanish while the directory stays the same.
            settled = settled and (not entry.is_symlink() or _holds(entry.is_file))
    return Directory(
        status.st_mtime_ns if settled else 0,
        status.st_ctime_ns,
        _SEPARATOR.join(sorted(directories)),
        _SEPARATOR.join(sorted(files)),
    )


def files_below(listing: Listing, path: str) -> list[str]:
    """Returns the paths of the files in a directory at any depth, in the order of `pathlib`.

    Args:
        listing: the directories.
        path: the directory, as in `listing`. The paths of the files start with it.
    """
    files: list[str] = []
    stack = [path] if path in listing else []
    while stack:
        path = stack.pop()
        directory = listing.get(path)
        if directory is None:
            files.append(path)
            continue
        children = [os.path.join(path, name) for name in directory.directory_names]
        children = [child for child in children if child in listing]
        children += [os.path.join(path, name) for name in directory.file_names]
        stack += sorted(children, reverse=True)
    return files


def path_prefix(root: pathlib.Path) -> str:
    """Returns what `pathlib` writes before the path of a file below a directory."""
    return "" if root == pathlib.Path() else os.path.join(root, "")


def is_settled(time_ns: int) -> bool:
    """Returns whether a change from now on has another time than `time_ns`."""
    return time_ns < time.time_ns() - _CLOCK_STEP_NS


def _visit(
    root: str, place: _Place, known: Mapping[str, Directory]
) -> tuple[Directory, frozenset[tuple[int, int]]] | None:
    """Returns a directory and the identities of it and of those that contain it.

    Returns `None` if it contains itself or has vanished.
    """
    path = os.path.join(root, place.path)
    try:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if identity in place.parents:
            return None
        directory = known.get(place.path)
        if directory is None or not _is_unchanged(directory, status):
            directory = list_directory(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise PermissionError(
            f"{path} must be a directory that can be read. Permit it or remove the directory. "
            f"Received: {error}"
        ) from error
    return directory, place.parents | {identity}


def _is_unchanged(directory: Directory, status: os.stat_result) -> bool:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return directory.modified > 0 and times == (directory.modified, directory.changed)


def _holds(check: Callable[[], bool]) -> bool:
    """Returns the result of a check of an entry, and `False` for a link to itself."""
    try:
        return check()
    except OSError:
        return False
