"""Images in TFRecord files, read in any order through an index of their positions.

A TFRecord is a length, a checksum of it, a `tf.train.Example` and its checksum. The index holds the
position of the encoded image within each Example, so that reading an image reads nothing else.
"""

import contextlib
import dataclasses
import mmap
import os
import pathlib
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf._checks import check_choice
from supcon_tf._files import write_arrays
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.indexed_images import IndexedImages
from supcon_tf.data.storage import (
    is_remote,
    open_file,
    read_version,
    version_of_open_file,
)
from supcon_tf.data.threads import map_in_threads

_HEADER_BYTES, _FOOTER_BYTES = 12, 4

# Types of the values in the format of protocol buffers:
# https://protobuf.dev/programming-guides/encoding/
_VARINT, _LENGTH_DELIMITED = 0, 2
# Numbers of the fields of tf.train.Feature.
_BYTES_LIST, _INT64_LIST = 1, 3

_COLUMNS = ("offsets", "lengths", "labels")


def load_tfrecords(
    files: Sequence[str | os.PathLike[str]],
    class_names: Sequence[str],
    *,
    image: str = "image",
    label: str = "label",
    index: str | os.PathLike[str] | None = None,
    channels: int = 3,
    dtype: str = "uint8",
    on_error: str = "raise",
) -> IndexedImages:
    """Loads images of TFRecord files of `tf.train.Example`, which stay on disk.

    The images have the order of the files and of the records in them. Only their positions and
    labels are in memory, 24 bytes per image. Checksums are not verified.

    Examples:
        >>> import pathlib, tempfile, tensorflow as tf, supcon_tf
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "pets.tfrecord"
        >>> png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
        >>> features = {
        ...     "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
        ...     "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
        ... }
        >>> example = tf.train.Example(features=tf.train.Features(feature=features))
        >>> with tf.io.TFRecordWriter(str(file)) as writer:
        ...     writer.write(example.SerializeToString())
        >>> images = supcon_tf.data.load_tfrecords([file], ["cat", "dog"])
        >>> len(images), images.labels.tolist()
        (1, [1])

    Args:
        files: the files, which are not compressed: paths, or URLs that `tf.io.gfile` supports, such
            as `gs://bucket/train-00000.tfrecord`. A remote file is read once to index it.
        class_names: names of the classes.
        image: name of the feature that holds the bytes of an encoded image.
        label: name of the feature that holds a class id, an index into `class_names`.
        index: a file that stores the index, in the format npz. Only files that are new or have
            changed are indexed again. With `None`, all files are indexed each time, which takes
            about 20 seconds for a million images if the files are cached.
        channels: as in `EncodedImages`.
        dtype: as in `EncodedImages`.
        on_error: `"raise"` to raise an error for a damaged file, `"skip"` to use the images before
            the damage with a warning that states their number. `supcon_tf.data.drop_damaged` leaves
            out images that cannot be decoded.

    Returns:
        The images. They are read when they are needed. If a file has changed since it was indexed,
        reading raises an error.

    Raises:
        FileNotFoundError: if a file does not exist.
        PermissionError: if the index cannot be written.
        ValueError: if a file is truncated, compressed or of another format, an Example lacks one of
            the features, a label is not an index into `class_names`, or `on_error` is not one of
            its values.
    """
    check_choice("on_error", on_error, ("raise", "skip"))
    if isinstance(files, str | os.PathLike) or len(files) == 0:
        raise ValueError(f"`files` must be a list of at least one file. Received: {files!r}")
    index = None if index is None else pathlib.Path(index)
    shards = index_tfrecords(files, image, label, index)
    for damage in filter(None, (shard.damage for shard in shards)):
        if on_error == "raise":
            raise ValueError(damage)
        warnings.warn(damage, stacklevel=2)
    return indexed_images(shards, class_names, PixelFormat(channels, dtype))


@dataclasses.dataclass(frozen=True)
class Shard:
    """The positions of the images in a file.

    Attributes:
        path: the absolute path or the URL of the file.
        size: its size in bytes.
        modified: the time of its last modification in nanoseconds.
        offsets: `[images]` int64, the position of the first byte of each image.
        lengths: `[images]` int64, the number of bytes of each image.
        labels: `[images]` int64 class ids.
        damage: the error for what follows these images; empty if the file is complete.
    """

    path: str
    size: int
    modified: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    damage: str = ""

    def take(self, rows: slice) -> "Shard":
        """Returns the positions of some images."""
        return dataclasses.replace(
            self,
            offsets=self.offsets[rows],
            lengths=self.lengths[rows],
            labels=self.labels[rows],
        )


def indexed_images(
    shards: Sequence[Shard], class_names: Sequence[str], pixels: PixelFormat
) -> IndexedImages:
    """Creates a source of the images of shards, in their order.

    Raises `ValueError` when an image is read from a file that has changed.
    """
    first = np.cumsum([0, *(len(shard.labels) for shard in shards)])
    offsets, lengths, labels = (
        np.concatenate([getattr(shard, name) for shard in shards]) for name in _COLUMNS
    )

    def read(images: NDArray[np.int64]) -> list[bytes]:
        """Reads adjacent images of a file at once."""
        shard_of_image = np.searchsorted(first, images, side="right") - 1
        starts_run = (np.diff(images) != 1) | (np.diff(shard_of_image) != 0)
        runs = np.split(images, np.flatnonzero(starts_run) + 1)
        return [image for run in runs if len(run) for image in read_adjacent(run)]

    def read_adjacent(images: NDArray[np.int64]) -> Iterator[bytes]:
        shard = shards[int(np.searchsorted(first, images[0], side="right")) - 1]
        begin, end = int(offsets[images[0]]), int(offsets[images[-1]] + lengths[images[-1]])
        contents = _read_range(shard, begin, end)
        for start, length in zip(offsets[images] - begin, lengths[images], strict=True):
            yield contents[start : start + length]

    return IndexedImages(read, labels, class_names, channels=pixels.channels, dtype=pixels.dtype)


def _read_range(shard: Shard, start: int, end: int) -> bytes:
    with open_file(shard.path) as file:
        version = version_of_open_file(file, shard.path)
        if version != (shard.size, shard.modified):
            raise ValueError(
                f"{shard.path} must not change while it is in use. Load the images again. "
                f"Received: a file of {version[0]} bytes, which had {shard.size}"
            )
        file.seek(start)
        return file.read(end - start)


def index_tfrecords(
    files: Sequence[str | os.PathLike[str]], image: str, label: str, index: pathlib.Path | None
) -> list[Shard]:
    """Finds the images in files, in parallel, and updates the index of those that have changed.

    Args:
        files: the paths or URLs of the files.
        image: name of the feature of the images.
        label: name of the feature of the labels.
        index: the file of the index; `None` for no file.
    """
    paths = [_absolute(os.fspath(file)) for file in files]
    known = {} if index is None else _load_index(index, image, label)

    def is_known(path: str) -> bool:
        shard, version = known.get(path), read_version(path)
        return shard is not None and (shard.size, shard.modified) == version

    changed = [path for path in dict.fromkeys(paths) if not is_known(path)]
    if changed and index is not None:
        require_writable(index.parent)
    for shard in map_in_threads(lambda path: _index_file(path, image, label), changed):
        known[shard.path] = shard
    if changed and index is not None:
        complete = [shard for shard in known.values() if not shard.damage]
        _save_index(index, complete, image, label)
    return [known[path] for path in paths]


def require_writable(directory: pathlib.Path) -> None:
    """Raises `PermissionError` unless files can be created in a directory, which it creates."""
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        raise PermissionError(
            "The directory of the index must be writable. Pass a file in another directory. "
            f"Received: {directory}"
        )


def _absolute(name: str, directory: str | os.PathLike[str] = "") -> str:
    return name if is_remote(name) else os.path.abspath(os.path.join(directory, name))


def _relative(path: str, directory: pathlib.Path) -> str:
    return path if is_remote(path) else os.path.relpath(path, directory)


def _save_index(index: pathlib.Path, shards: Sequence[Shard], image: str, label: str) -> None:
    """Writes the shards, joined, and the names of the features."""
    arrays = {
        "features": np.array([image, label]),
        "names": np.array([_relative(shard.path, index.parent) for shard in shards]),
        "sizes": np.array([shard.size for shard in shards]),
        "modified": np.array([shard.modified for shard in shards]),
        "counts": np.array([len(shard.labels) for shard in shards]),
        **{
            name: np.concatenate([np.empty(0, np.int64), *(getattr(x, name) for x in shards)])
            for name in _COLUMNS
        },
    }
    write_arrays(index, arrays)


def _load_index(index: pathlib.Path, image: str, label: str) -> dict[str, Shard]:
    """Reads the shards by their paths; none if there is no index of these features."""
    if not index.exists():
        return {}
    try:
        with np.load(index) as file:
            arrays = dict(file)
        if arrays["features"].tolist() != [image, label]:
            return {}
        ends = np.cumsum(arrays["counts"])
        rows = [slice(end - count, end) for end, count in zip(ends, arrays["counts"], strict=True)]
        paths = [_absolute(name, index.parent) for name in arrays["names"].tolist()]
        versions = zip(arrays["sizes"].tolist(), arrays["modified"].tolist(), strict=True)
        return {
            path: Shard(path, *version, *(arrays[column][part] for column in _COLUMNS))
            for path, version, part in zip(paths, versions, rows, strict=True)
        }
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{index} must be an index of TFRecord files. Delete it, or pass another file. "
            f"Received: {error}"
        ) from error


def _index_file(path: str, image: str, label: str) -> Shard:
    """Finds the images in a file, up to the first record that cannot be read."""
    positions, damage = [], ""
    with _map_file(path) as (data, version):
        try:
            for start, end in _records(data):
                positions.append(find_image(data, start, end, image, label))
        except (IndexError, ValueError) as error:
            damage = (
                f"{path} must be an uncompressed TFRecord file of tf.train.Example with the "
                f"features {image!r} and {label!r}. Received: {error}, after "
                f"{len(positions)} images"
            )
    offsets, lengths, labels = np.array(positions, np.int64).reshape([-1, len(_COLUMNS)]).T
    return Shard(path, *version, offsets, lengths, labels, damage)


@contextlib.contextmanager
def _map_file(path: str) -> Iterator[tuple[mmap.mmap | bytes, tuple[int, int]]]:
    """Yields the bytes of a file and its version. A local file is not read."""
    with open_file(path) as file:
        version = version_of_open_file(file, path)
        if is_remote(path) or version[0] == 0:  # An empty file cannot be mapped.
            yield file.read(), version
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if hasattr(mmap, "MADV_RANDOM"):
                data.madvise(mmap.MADV_RANDOM)  # Do not read the images.
            yield data, version


def _records(data: mmap.mmap | bytes) -> Iterator[tuple[int, int]]:
    """Yields where each Example starts and ends."""
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 8], "little")
        end = start + _HEADER_BYTES + length
        if end + _FOOTER_BYTES > len(data):
            raise ValueError(
                f"a record of {length} bytes at byte {start} of {len(data)}: the file is truncated "
                "or compressed"
            )
        yield start + _HEADER_BYTES, end
        start = end + _FOOTER_BYTES


def find_image(
    data: mmap.mmap | bytes, start: int, end: int, image: str, label: str
) -> tuple[int, int, int]:
    """Returns the position and the length of the image of an Example, and its label.

    Args:
        data: the bytes that contain the Example.
        start: where it starts.
        end: where it ends.
        image: name of the feature of the image.
        label: name of the feature of the label.

    Raises:
        ValueError: if it lacks one of the features.
        IndexError: if it is not an Example.
    """
    values = {}
    for _, features in _fields(data, start, end):
        for _, entry in _fields(data, *features):
            key, feature = (value for _, value in sorted(_fields(data, *entry)))
            values[data[slice(*key)].decode()] = feature
    missing = [name for name in (image, label) if name not in values]
    if missing:
        raise ValueError(f"an Example with the features {sorted(values)}")
    image_start, image_end = _first_value(data, values[image], _BYTES_LIST)
    class_id = _first_value(data, values[label], _INT64_LIST)
    return image_start, image_end - image_start, class_id


def _first_value(data: mmap.mmap | bytes, feature: tuple[int, int], kind: int) -> Any:
    """Returns the first value of a list in a feature: where bytes start and end, or an integer."""
    for number, values in _fields(data, *feature):
        for _, value in _fields(data, *values):
            if number == kind == _BYTES_LIST:
                return value
            if number == kind:
                integer = _varint(data, value[0])[0] if isinstance(value, tuple) else value
                return integer - (integer >> 63 << 64)  # in two's complement
    raise ValueError("a feature of another type, or without a value")


def _fields(data: mmap.mmap | bytes, start: int, end: int) -> Iterator[tuple[int, Any]]:
    """Yields the number and the value of each field of a message.

    The value of a field with a length is where it starts and ends, others are integers.
    """
    while start < end:
        tag, start = _varint(data, start)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, start = _varint(data, start)
            yield number, (start, start + length)
            start += length
        elif wire_type == _VARINT:
            value, start = _varint(data, start)
            yield number, value
        else:
            raise ValueError(f"a field of the type {wire_type}")
    if start > end:
        raise ValueError("a field that exceeds its message")


def _varint(data: mmap.mmap | bytes, start: int) -> tuple[int, int]:
    """Reads an integer of variable length; returns it and the position behind it."""
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, start
        shift += 7
