"""A file with the names of all files below a directory, and with those that can be decoded."""

import dataclasses
import os
import pathlib
import warnings
import zipfile

import numpy as np
from numpy.typing import NDArray

from supcon_tf._files import write_in_turn
from supcon_tf.data.listing import Directory, Listing, list_directories

# A manifest is one of these lines, the second with the version, and a file of NumPy arrays.
_KIND = b"supcon_tf manifest"
_HEADER = _KIND + b" 1\n"

_NOT_VERIFIED = -1


@dataclasses.dataclass
class Manifest:
    """The files below a directory.

    Attributes:
        root: the directory.
        file: the file of the manifest, or `None` if nothing is written.
        listing: the directories.
        verified: for each directory of the listing, `[files, 2]` int64: the size in bytes and the
            modification time in nanoseconds with which each file was decoded, or -1.
    """

    root: pathlib.Path
    file: pathlib.Path | None
    listing: Listing
    verified: dict[str, NDArray[np.int64]]


def open_manifest(root: pathlib.Path, file: str | os.PathLike[str] | None) -> Manifest:
    """Lists the files below a directory.

    Args:
        root: the directory, which exists.
        file: the file of the manifest. If it exists, only the directories that have changed since
            are listed again. It is written if anything has changed. `None` reads and writes no
            file.

    Raises:
        ValueError: if the file is not a manifest, or that of another directory.
        OSError: if the directory cannot be read, or the file can be neither read nor created.
    """
    path = None if file is None else pathlib.Path(file)
    if path is None or not path.exists():
        if path is not None:
            _require_writable(path)
        known = Manifest(root, path, {}, {})
    else:
        known = _read(path, root)
    listing = list_directories(str(root), known.listing)
    # The root is listed each time. A manifest in it would change its time, and be written again.
    listing[""] = listing[""]._replace(modified=0, changed=0)
    manifest = Manifest(root, path, listing, _align(known, listing))
    if listing != known.listing:
        save_manifest(manifest)
    return manifest


def save_manifest(manifest: Manifest) -> None:
    """Writes a manifest completely or not at all. Warns if this is impossible.

    Several processes can write the same manifest. That of the last one remains.
    """
    if manifest.file is None:
        return
    try:
        write_in_turn(manifest.file, lambda path: _write(path, manifest))
    except OSError as error:
        warnings.warn(
            f"The manifest {manifest.file} cannot be written, so that the same work is done again "
            f"next time. Permit it or name another file. Received: {error}",
            stacklevel=4,
        )


def _require_writable(path: pathlib.Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`manifest` must be a file in an existing directory. Received: {str(path)!r}"
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            "`manifest` must be a file in a directory that is writable, or exist. "
            f"Received: {str(path)!r}"
        )


def _align(known: Manifest, listing: Listing) -> dict[str, NDArray[np.int64]]:
    """Returns what is known about the verified files of a newer listing."""
    verified = {}
    for path, directory in listing.items():
        earlier = known.listing.get(path)
        if earlier is not None and earlier.files == directory.files:
            verified[path] = known.verified[path]
            continue
        names = directory.file_names
        verified[path] = np.full([len(names), 2], _NOT_VERIFIED, np.int64)
        if earlier is not None:
            rows = dict(zip(earlier.file_names, known.verified[path], strict=True))
            for index, name in enumerate(names):
                verified[path][index] = rows.get(name, _NOT_VERIFIED)
    return verified


def _write(path: pathlib.Path, manifest: Manifest) -> None:
    directories = manifest.listing.values()
    with path.open("wb") as file:
        file.write(_HEADER)
        np.savez(
            file,
            root=_encode(os.path.abspath(manifest.root)),
            # No name contains these separators.
            paths=_encode("\0".join(manifest.listing)),
            times=np.array([(each.modified, each.changed) for each in directories], np.int64),
            directories=_encode("/".join(each.directories for each in directories)),
            files=_encode("/".join(each.files for each in directories)),
            verified=np.concatenate([manifest.verified[path] for path in manifest.listing]),
        )


def _read(path: pathlib.Path, root: pathlib.Path) -> Manifest:
    """Reads a manifest. That of a damaged file or of another version is empty.

    Raises:
        ValueError: if the file is not a manifest, or that of another directory.
    """
    with path.open("rb") as file:
        header = file.readline(len(_HEADER))
        if not header.startswith(_KIND):
            raise ValueError(
                "`manifest` must be a file that does not exist, or one that an earlier call has "
                f"written. Name another file. Received: {str(path)!r}, which is something else"
            )
        try:
            if header != _HEADER:
                raise ValueError("another version")
            with np.load(file) as arrays:
                written_for = _decode(arrays["root"])
                listing, verified = _read_listing(arrays)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"The manifest {path} is damaged or was written by another version. It is written "
                f"anew, and all files are verified again. Received: {error}",
                stacklevel=4,
            )
            return Manifest(root, path, {}, {})
    if written_for != os.path.abspath(root):
        raise ValueError(
            f"`manifest` must be that of {root}. Name another file, or remove it if the directory "
            f"has moved. Received: {str(path)!r}, the manifest of {written_for}"
        )
    return Manifest(root, path, listing, verified)


def _read_listing(arrays: "np.lib.npyio.NpzFile") -> tuple[Listing, dict[str, NDArray[np.int64]]]:
    paths = _decode(arrays["paths"]).split("\0")
    directories = _decode(arrays["directories"]).split("/")
    files = _decode(arrays["files"]).split("/")
    times, rows = arrays["times"], arrays["verified"]
    listing: Listing = {}
    verified = {}
    start = 0
    for path, (modified, changed), inner, names in zip(
        paths, times.tolist(), directories, files, strict=True
    ):
        listing[path] = Directory(modified, changed, inner, names)
        stop = start + len(listing[path].file_names)
        verified[path] = rows[start:stop]
        start = stop
    if rows.shape != (start, 2):
        raise ValueError(f"{len(rows)} rows for {start} files")
    return listing, verified


def _encode(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(os.fsencode(text), np.uint8)


def _decode(array: NDArray[np.uint8]) -> str:
    return os.fsdecode(array.tobytes())
