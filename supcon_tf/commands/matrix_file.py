"""A matrix in a .npy file that is written batch by batch, in any order and by several processes.

While rows are missing, a directory contains the matrix and a digest of each batch of rows. A batch
is complete if its rows have its digest. A kill at any moment, a power loss and damage therefore
make a batch incomplete, and never wrong.
"""

import dataclasses
import functools
import hashlib
import os
import pathlib

import numpy as np
from numpy.typing import NDArray

from supcon_tf._files import move_durably

_DIGEST_SIZE = 16


@dataclasses.dataclass(frozen=True)
class PartialMatrix:
    """A float32 matrix on the disk, of which batches of rows can be missing.

    Rows are written to the file, not to a memory map. The memory of the process stays constant, and
    a full disk raises an error instead of a signal that ends the process.

    Args:
        directory: an existing directory for the files of the matrix.
        rows: number of rows of the matrix.
        columns: number of columns of the matrix.
        batch_size: number of rows in a batch. The last batch can be smaller.
    """

    directory: pathlib.Path
    rows: int
    columns: int
    batch_size: int

    @property
    def batches(self) -> int:
        """The number of batches."""
        return -(-self.rows // self.batch_size)

    def create(self) -> None:
        """Creates the files, without any batch."""
        np.lib.format.open_memmap(self._matrix, "w+", np.float32, (self.rows, self.columns))
        self._digests.write_bytes(bytes(_DIGEST_SIZE * self.batches))

    def is_intact(self) -> bool:
        """Returns whether the files exist and have the right sizes and the right header."""
        return (
            has_shape(self._matrix, self.rows, self.columns)
            and self._digests.is_file()
            and self._digests.stat().st_size == _DIGEST_SIZE * self.batches
        )

    def is_complete(self, batch: int) -> bool:
        """Returns whether a batch has been written, and neither lost nor damaged since."""
        digest = _read(self._digests, batch * _DIGEST_SIZE, _DIGEST_SIZE)
        # Most batches that are missing have no digest. Their rows need not be read.
        return any(digest) and digest == _digest(_read(self._matrix, *self._span(batch)))

    def write(self, batch: int, rows: NDArray[np.float32]) -> None:
        """Writes a batch.

        Raises:
            OSError: if the disk is full or fails.
        """
        contents = rows.tobytes()
        offset, size = self._span(batch)
        assert len(contents) == size
        _write(self._matrix, offset, contents)
        _write(self._digests, batch * _DIGEST_SIZE, _digest(contents))

    def synchronize(self) -> None:
        """Waits until the batches that this process has written are on the disk.

        Raises:
            OSError: if the disk is full or fails.
        """
        for path in (self._matrix, self._digests):
            _write(path, 0, b"", synchronize=True)

    def move(self, path: pathlib.Path) -> None:
        """Moves the matrix to its final path."""
        move_durably(self._matrix, path)

    @property
    def _matrix(self) -> pathlib.Path:
        return self.directory / "matrix.npy"

    @property
    def _digests(self) -> pathlib.Path:
        return self.directory / "digests"

    @functools.cached_property
    def _header_size(self) -> int:
        return np.lib.format.open_memmap(self._matrix, "r").offset

    def _span(self, batch: int) -> tuple[int, int]:
        """Returns the offset and the size of a batch in the file, in bytes."""
        first = batch * self.batch_size
        rows = min(self.batch_size, self.rows - first)
        row_size = 4 * self.columns
        return self._header_size + first * row_size, rows * row_size


def has_shape(path: pathlib.Path, rows: int, columns: int) -> bool:
    """Returns whether a file contains a float32 matrix of a shape, row by row."""
    try:
        matrix = np.lib.format.open_memmap(path, "r")
    except (OSError, ValueError):
        return False
    is_float32 = bool(matrix.dtype == np.float32)
    return matrix.shape == (rows, columns) and is_float32 and matrix.flags.c_contiguous


def _digest(contents: bytes) -> bytes:
    return hashlib.blake2b(contents, digest_size=_DIGEST_SIZE).digest()


def _read(path: pathlib.Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _write(path: pathlib.Path, offset: int, contents: bytes, *, synchronize: bool = False) -> None:
    """Replaces bytes of a file.

    The file is opened for writing only. A network file system could otherwise also write the rest
    of a page, in which another worker writes at the same time.
    """
    try:
        with open(path, "wb", opener=_open_existing) as file:
            file.seek(offset)
            file.write(contents)
            if synchronize:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}. Once the cause is removed, the same command continues",
            str(path),
        ) from None


def _open_existing(path: str, flags: int) -> int:
    """Opens a file without removing its contents."""
    return os.open(path, flags & ~(os.O_CREAT | os.O_TRUNC))
