"""Image classification data sets of TensorFlow Datasets."""

import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf._files import write_arrays
from supcon_tf._requirements import require_extra
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.indexed_images import IndexedImages
from supcon_tf.data.sources import ArrayImages, EncodedImages, ImageSource
from supcon_tf.data.storage import read_version
from supcon_tf.data.tfrecords import (
    find_image,
    index_tfrecords,
    indexed_images,
    require_writable,
)

# A larger data set stays on disk by default.
_LARGEST_IN_MEMORY = 2_000_000_000


def load_tfds(
    name: str,
    data_dir: str | os.PathLike[str],
    split: str = "train",
    *,
    in_memory: bool | None = None,
    index_dir: str | os.PathLike[str] | None = None,
) -> ImageSource:
    """Loads a split of an image classification data set that is prepared in `data_dir`.

    Nothing is downloaded. In memory, images are decoded if they have one size, and encoded bytes
    otherwise. On disk, images are read when they are needed, from TFRecord files, which tfds writes
    by default, or from ArrayRecord files (`tfds build --file_format=array_record`). The first time,
    all files are searched for the labels, and for TFRecord files the positions of the images. They
    are written to files `supcon_tf.*.npz`, which are read the next time.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_tfds("cifar10", "data")  # doctest: +SKIP

    Args:
        name: name of the data set, such as `"cifar10"`.
        data_dir: the directory in which TensorFlow Datasets has prepared the data set.
        split: a split, or a part of it such as `"train[:90%]"`.
        in_memory: whether to hold the images in memory. `None` does so if the data set has up to
            2 GB.
        index_dir: the directory for the labels and positions of images on disk; `None` for the
            directory of the data set.

    Returns:
        The images with their integer labels.

    Raises:
        ImportError: if tensorflow-datasets is not installed.
        FileNotFoundError: if the data set is not prepared in `data_dir`.
        PermissionError: if the directory for the labels and positions is not writable.
        ValueError: if the data set does not exist, it has no image feature `image` or no class
            feature `label`, or it has to stay on disk and its files have another format.
    """
    builder = _open(name, data_dir)
    if in_memory is None:
        in_memory = _size_in_memory(builder) <= _LARGEST_IN_MEMORY
    if in_memory:
        return _load_in_memory(builder, split)
    directory = pathlib.Path(index_dir or builder.data_path)
    file_format = builder.info.file_format.value
    if file_format == "tfrecord":
        return _load_tfrecords(builder, split, directory)
    if file_format == "array_record":
        return _load_array_records(builder, split, directory)
    raise ValueError(
        f"{name!r} must have TFRecord or ArrayRecord files to stay on disk. Build it with "
        "`--file_format=array_record`, or pass `in_memory=True`. "
        f"Received: files in the format {file_format}"
    )


def _open(name: str, data_dir: str | os.PathLike[str]) -> Any:
    """Returns the builder of a prepared data set of images with classes."""
    tfds = _import_tfds()
    if not os.path.isdir(data_dir):
        raise FileNotFoundError(
            f"`data_dir` must be an existing directory. Received: data_dir={str(data_dir)!r}"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except ValueError as error:
        raise ValueError(
            "`name` must be the name of a data set of TensorFlow Datasets, such as 'cifar10' "
            "(https://www.tensorflow.org/datasets/catalog/overview), or of one that is prepared in "
            f"`data_dir`. Received: {name!r} ({error})"
        ) from error
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"`data_dir` must contain the prepared data set {name!r}. Run `tfds build {name} "
            f"--data_dir {data_dir}` first. Received: data_dir={str(data_dir)!r}"
        )
    features = dict(builder.info.features.items())
    if not isinstance(features.get("image"), tfds.features.Image) or not isinstance(
        features.get("label"), tfds.features.ClassLabel
    ):
        raise ValueError(
            f"{name!r} must have an image feature `image` and a class feature `label`. "
            f"Received: {list(features)}"
        )
    return builder


def _import_tfds() -> Any:
    with require_extra("load_tfds", "tensorflow-datasets"):
        import tensorflow_datasets as tfds
    return tfds


def _size_in_memory(builder: Any) -> int:
    """Returns the bytes of all images: decoded if they have one size, and encoded otherwise."""
    shape = builder.info.features["image"].shape
    if None in shape:
        return int(builder.info.dataset_size)
    return int(np.prod(shape)) * builder.info.splits.total_num_examples


def _load_in_memory(builder: Any, split: str) -> ImageSource:
    tfds = _import_tfds()
    image, label = builder.info.features["image"], builder.info.features["label"]
    fixed_size = None not in image.shape
    decoders = None if fixed_size else {"image": tfds.decode.SkipDecoding()}
    if builder.info.file_format.value == "array_record":  # tfds has no tf.data.Dataset of it.
        examples = builder.as_data_source(split=split, decoders=decoders)
    else:
        dataset = builder.as_dataset(
            split=split,
            decoders=decoders,
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        examples = tfds.as_numpy(dataset)
    pairs = [(example["image"], example["label"]) for example in examples]
    images = [image for image, _ in pairs]
    labels = np.array([label for _, label in pairs], np.int64)
    if fixed_size:
        return ArrayImages(np.stack(images), labels, label.names)
    pixels = _pixel_format(builder)
    return EncodedImages(images, labels, label.names, channels=pixels.channels, dtype=pixels.dtype)


def _pixel_format(builder: Any) -> PixelFormat:
    image = builder.info.features["image"]
    return PixelFormat(image.shape[-1] or 3, np.dtype(image.np_dtype).name)


def _load_tfrecords(builder: Any, split: str, directory: pathlib.Path) -> IndexedImages:
    parts = builder.info.splits[split].file_instructions
    index = directory / "supcon_tf.tfrecord.npz"
    shards = index_tfrecords([part.filename for part in parts], "image", "label", index)
    for shard, part in zip(shards, parts, strict=True):
        if shard.damage:
            raise ValueError(shard.damage)
        if len(shard.labels) != part.examples_in_shard:
            raise ValueError(
                f"{shard.path} must contain {part.examples_in_shard} images. Prepare the data set "
                f"again. Received: {len(shard.labels)} images"
            )
    taken = [
        shard.take(slice(part.skip, part.skip + part.take))
        for shard, part in zip(shards, parts, strict=True)
    ]
    return indexed_images(taken, builder.info.features["label"].names, _pixel_format(builder))


def _load_array_records(builder: Any, split: str, directory: pathlib.Path) -> IndexedImages:
    with require_extra("load_tfds", "array_record"):
        from array_record.python.array_record_data_source import ArrayRecordDataSource
    parts = builder.info.splits[split].file_instructions
    records = ArrayRecordDataSource(parts)

    def read_examples(indices: NDArray[np.int64]) -> Iterator[tuple[bytes, int]]:
        for record in records.__getitems__(indices.tolist()):
            start, length, label = find_image(record, 0, len(record), "image", "label")
            yield record[start : start + length], label

    def read(indices: NDArray[np.int64]) -> list[bytes]:
        return [image for image, _ in read_examples(indices)]

    def read_labels() -> Iterator[int]:
        for indices in np.array_split(np.arange(len(records)), -(-len(records) // 256)):
            yield from (label for _, label in read_examples(indices))

    versions = np.array([read_version(part.filename) for part in parts])
    labels = _find_labels(read_labels, split, versions, directory)
    class_names = builder.info.features["label"].names
    pixels = _pixel_format(builder)
    return IndexedImages(read, labels, class_names, channels=pixels.channels, dtype=pixels.dtype)


def _find_labels(
    read_labels: Callable[[], Iterable[int]],
    split: str,
    versions: NDArray[np.int64],
    directory: pathlib.Path,
) -> NDArray[np.int64]:
    """Returns the labels of a split from the file that has them from the last time, or reads them.

    Args:
        read_labels: reads the labels of all images.
        split: the split.
        versions: `[files, 2]`, the sizes and times of its files.
        directory: the directory of the file.
    """
    file = directory / f"supcon_tf.{re.sub('[^0-9a-zA-Z]+', '_', split)}.npz"
    if file.exists():
        try:
            with np.load(file) as arrays:
                if arrays["split"] == split and np.array_equal(arrays["versions"], versions):
                    return arrays["labels"]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{file} must be a file of labels. Delete it. Received: {error}"
            ) from error
    require_writable(directory)
    labels = np.fromiter(read_labels(), np.int64)
    write_arrays(file, {"split": split, "versions": versions, "labels": labels})
    return labels
