"""The idx files of MNIST, Fashion-MNIST, KMNIST and similar data sets."""

import gzip
import math
import os
import pathlib
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from supcon_tf.data.sources import ArrayImages

_PREFIX = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES = 0x08


def load_idx(directory: str | os.PathLike[str], split: str) -> ArrayImages:
    """Loads images and labels from a directory with files in the format of MNIST.

    The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-...` for the
    test split. Each can be compressed, with the suffix `.gz`.

    Examples:
        >>> import pathlib, struct, tempfile, supcon_tf
        >>> directory = pathlib.Path(tempfile.mkdtemp())
        >>> for name, shape in (("images-idx3", (2, 4, 4)), ("labels-idx1", (2,))):
        ...     header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
        ...     _ = (directory / f"train-{name}-ubyte").write_bytes(
        ...         header + bytes(2 * 4 * 4 if len(shape) == 3 else 2)
        ...     )
        >>> supcon_tf.data.load_idx(directory, "train").images.shape
        (2, 4, 4, 1)

    Args:
        directory: the directory that contains the files.
        split: `"train"` or `"test"` (the `t10k` files).

    Returns:
        The gray images, `[images, height, width, 1]`. Class names are the class ids.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is truncated, if it is not an idx file of unsigned bytes with the
            expected number of dimensions, or if the numbers of images and labels differ.
    """
    if split not in _PREFIX:
        raise ValueError(f'`split` must be "train" or "test". Received: {split!r}')
    directory = pathlib.Path(directory)
    images = _read_idx(_find(directory, f"{_PREFIX[split]}-images-idx3-ubyte"), dimensions=3)
    labels_path = _find(directory, f"{_PREFIX[split]}-labels-idx1-ubyte")
    labels = _read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path} must contain one label per image. "
            f"Received: {len(images)} images, {len(labels)} labels"
        )
    if not len(labels):
        raise ValueError(
            f"{labels_path} must contain at least one label. Choose another `directory`. "
            "Received: no labels"
        )
    names = [str(name) for name in range(int(labels.max()) + 1)]
    return ArrayImages(images[..., None], labels, names)


def _read_idx(path: str | os.PathLike[str], dimensions: int) -> NDArray[np.uint8]:
    """Reads an idx file of unsigned bytes with the given number of dimensions.

    Compression by gzip is recognized by the first bytes of the file.
    """
    contents = pathlib.Path(path).read_bytes()
    if contents[:2] == b"\x1f\x8b":
        try:
            contents = gzip.decompress(contents)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{path} is truncated or damaged. Copy or download it again. Received: {error}"
            ) from error
    expected = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if contents[:4] != expected:
        raise ValueError(
            f"{path} must be an idx file of unsigned bytes with {dimensions} dimensions (magic "
            f"number {expected.hex()}). Received: magic number {contents[:4].hex() or 'nothing'}"
        )
    header = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", contents[4:header]) if len(contents) >= header else ()
    if not shape or len(contents) != header + math.prod(shape):
        raise ValueError(
            f"{path} must have {header} bytes of header and {math.prod(shape) if shape else 'some'}"
            f" bytes of data for shape {shape}. Copy or download it again. "
            f"Received: {len(contents)} bytes"
        )
    return np.frombuffer(contents, np.uint8, offset=header).reshape(shape)


def _find(directory: pathlib.Path, name: str) -> pathlib.Path:
    for candidate in (directory / name, directory / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"`directory` must contain {name} or {name}.gz. Received: directory={str(directory)!r}"
    )
