"""Which images in a directory are damaged, remembered in a manifest."""

import os
import pathlib
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from supcon_tf.data.listing import is_settled, path_prefix
from supcon_tf.data.manifest import Manifest, open_manifest, save_manifest
from supcon_tf.data.readable import find_damage
from supcon_tf.data.storage import file_version
from supcon_tf.data.suffixes import IMAGE_SUFFIXES, suffix
from supcon_tf.data.threads import THREADS_FOR_DISKS, map_in_threads

_SECONDS_BETWEEN_WRITES = 60


def verify_images(
    directory: str | os.PathLike[str],
    *,
    manifest: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, str]:
    """Decodes all images in a directory once, in threads, and returns those that are damaged.

    With a `manifest`, the images that could be decoded are remembered with their sizes and
    modification times. Another call decodes only new, changed and damaged ones, and continues
    where a killed one has stopped. `supcon_tf.data.load_folder` with the same manifest does not
    decode them again either.

    Examples:
        >>> import pathlib, tempfile, tensorflow as tf, supcon_tf
        >>> directory = pathlib.Path(tempfile.mkdtemp())
        >>> png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
        >>> _ = (directory / "1.png").write_bytes(png)
        >>> _ = (directory / "2.png").write_bytes(png[:20])
        >>> for path, reason in supcon_tf.data.verify_images(directory).items():
        ...     print(pathlib.Path(path).name)
        2.png

    Args:
        directory: the directory. The images can be at any depth.
        manifest: the file of the manifest, as in `supcon_tf.data.load_folder`. It is written every
            minute and at the end.
        progress: function that is called with the number of verified images and the number of all
            images, once at the beginning and then after each image.

    Returns:
        The reason for each image that cannot be decoded, by its path.

    Raises:
        FileNotFoundError: if the directory does not exist.
        ValueError: if `manifest` is not a manifest, or that of another directory.
        OSError: if a directory cannot be read, or the manifest can be neither read nor created.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise FileNotFoundError(
            f"`directory` must be an existing directory. Received: directory={str(directory)!r}"
        )
    opened = open_manifest(root, manifest)
    return find_damaged(opened, opened.listing, progress)


def find_damaged(
    manifest: Manifest,
    directories: Collection[str],
    progress: Callable[[int, int], Any] | None = None,
) -> dict[str, str]:
    """Decodes images that are not yet verified, and remembers in a manifest which are.

    Args:
        manifest: the manifest, which is changed and written.
        directories: the directories of the manifest whose images are decoded.
        progress: as in `verify_images`.

    Returns:
        The reason for each image that cannot be decoded, by its path.
    """
    progress = progress or (lambda done, total: None)
    total, pending = _find_pending(manifest, directories)
    done = total - sum(map(len, pending.values()))
    progress(done, total)
    damaged: dict[str, str] = {}
    unsaved, written = False, time.monotonic()
    try:
        for file in map_in_threads(_decode_file, _files(manifest, pending)):
            if file.reason is not None:
                damaged[file.path] = file.reason
            elif file.status is not None:
                manifest.verified[file.directory][file.position] = file.status
                unsaved = True
            done += 1
            progress(done, total)
            if unsaved and time.monotonic() - written > _SECONDS_BETWEEN_WRITES:
                save_manifest(manifest)
                unsaved, written = False, time.monotonic()
    finally:
        if unsaved:
            save_manifest(manifest)
    return dict(sorted(damaged.items(), key=lambda item: pathlib.Path(item[0])))


class _File(NamedTuple):
    """An image file, and what its decoding has shown.

    Attributes:
        directory: the path of its directory in the listing.
        position: its index among the files of the directory.
        path: its path.
        reason: why it cannot be decoded, or `None`.
        status: its size and its modification time before it was decoded. `None` if a later change
            can have the same time.
    """

    directory: str
    position: int
    path: str
    reason: str | None = None
    status: tuple[int, int] | None = None


def _find_pending(
    manifest: Manifest, directories: Collection[str]
) -> tuple[int, dict[str, list[int]]]:
    """Returns the number of images, and the indices of those that must be decoded."""

    def count_and_compare(directory: str) -> tuple[int, list[int]]:
        prefix = os.path.join(manifest.root, directory, "")
        images, pending = 0, []
        verified = manifest.verified[directory].tolist()
        for index, name in enumerate(manifest.listing[directory].file_names):
            if suffix(name) in IMAGE_SUFFIXES:
                images += 1
                if verified[index][0] < 0 or _read_status(prefix + name) != tuple(verified[index]):
                    pending.append(index)
        return images, pending

    results = map_in_threads(count_and_compare, directories, THREADS_FOR_DISKS)
    total, pending_in = 0, {}
    for directory, (images, pending) in zip(directories, results, strict=True):
        total += images
        pending_in[directory] = pending
    return total, pending_in


def _files(manifest: Manifest, pending: dict[str, list[int]]) -> Iterator[_File]:
    prefix = path_prefix(manifest.root)
    for directory, indices in pending.items():
        names = manifest.listing[directory].file_names if indices else []
        for index in indices:
            yield _File(directory, index, prefix + os.path.join(directory, names[index]))


def _read_status(path: str) -> tuple[int, int] | None:
    """Returns the size and the modification time of a file, or `None` if there is none."""
    try:
        return file_version(os.stat(path))
    except OSError:
        return None


def _decode_file(file: _File) -> _File:
    status = _read_status(file.path)
    if status is not None and not is_settled(status[1]):
        status = None
    return file._replace(reason=find_damage(file.path), status=status)
