"""Reads image files for training, and the pixels that a classifier gets."""

import functools
import pathlib
from collections.abc import Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.augmentation import resize
from supcon_tf.commands.settings import DataSummary, Settings
from supcon_tf.data import ArrayImages, EncodedImages, ImageSource
from supcon_tf.data.decoding import PixelFormat, decode
from supcon_tf.data.readable import name_unreadable

_SAMPLE = 256  # images from which the settings are chosen
_ARRAY_BYTES = 1 << 30


def summarize(paths: Sequence[pathlib.Path], unlabelled: int, classes: int) -> DataSummary:
    """Summarizes labeled training images by a sample of them.

    Raises:
        ValueError: if an image of the sample cannot be read.
    """
    sample = np.random.default_rng(0).permutation(len(paths))[:_SAMPLE]
    with futures.ThreadPoolExecutor() as pool:
        measured = list(pool.map(lambda index: _measure(paths[index]), sample))
    sides, gray, means, variances = zip(*measured, strict=True)
    channels = 1 if all(gray) else 3
    mean = np.mean(means, axis=0)[:channels]
    std = np.maximum(np.sqrt(np.mean(variances, axis=0)[:channels]), 1e-3)
    return DataSummary(
        images=len(paths),
        unlabelled=unlabelled,
        classes=classes,
        short_side=int(np.median(sides)),
        channels=channels,
        pixel_mean=tuple(round(float(value), 4) for value in mean),
        pixel_std=tuple(round(float(value), 4) for value in std),
        gpu=bool(tf.config.list_physical_devices("GPU")),
    )


def load_for_training(
    paths: Sequence[pathlib.Path], labels: NDArray[np.int64], num_labels: int, settings: Settings
) -> ImageSource:
    """Reads images to memory, and reduces large ones to twice the size of a view.

    Decoding photos in every epoch would take longer than training on them.

    Args:
        paths: the files.
        labels: `[images]` ids below `num_labels`, or -1.
        num_labels: the number of ids.
        settings: the size and the channels of the images.

    Raises:
        ValueError: if an image cannot be read.
    """
    side, channels = 2 * settings.image_size, settings.channels
    read = functools.partial(_read_reduced, side=side, channels=channels)
    with futures.ThreadPoolExecutor() as pool:
        contents, shapes = zip(*pool.map(read, paths), strict=True)
    names = [str(number) for number in range(num_labels)]
    if len(set(shapes)) == 1 and len(paths) * np.prod(shapes[0]) <= _ARRAY_BYTES:
        images = np.stack([decode(each, PixelFormat(channels)).numpy() for each in contents])
        return ArrayImages(images, labels, names)
    return EncodedImages(contents, labels, names, channels=channels)


def load_for_evaluation(paths: Sequence[pathlib.Path], channels: int) -> ImageSource:
    """Returns the unchanged images, which are read when they are needed."""
    return EncodedImages(
        [str(path) for path in paths],
        np.full(len(paths), -1),
        (),
        read=tf.io.read_file,
        channels=channels,
    )


def read_image(path: pathlib.Path, channels: int) -> NDArray[np.uint8]:
    """Reads and decodes an image.

    Raises:
        ValueError: if it cannot be read.
    """
    with name_unreadable(path):
        return decode(tf.io.read_file(str(path)), PixelFormat(channels)).numpy()


def read_pixels(path: pathlib.Path, settings: Settings) -> NDArray[np.float32]:
    """Reads an image as the pixels that a classifier takes, see `preprocess`.

    Raises:
        ValueError: if it cannot be read.
    """
    with name_unreadable(path):
        return preprocess(
            tf.io.read_file(str(path)),
            size=settings.image_size,
            short_side=settings.short_side,
            channels=settings.channels,
        ).numpy()


def preprocess(contents: tf.Tensor, *, size: int, short_side: int, channels: int) -> tf.Tensor:
    """Decodes an image to the pixels that a classifier takes.

    Args:
        contents: scalar string, the bytes of an image file.
        size: side of the central square.
        short_side: length to which the short side is resized before.
        channels: number of channels.

    Returns:
        `[size, size, channels]` float32 in [0, 1].
    """
    image = tf.cast(decode(contents, PixelFormat(channels)), tf.float32)[None] / 255.0
    return tf.ensure_shape(resize(image, size, short_side)[0], [size, size, channels])


def _measure(path: pathlib.Path) -> tuple[int, bool, NDArray[np.float64], NDArray[np.float64]]:
    """Returns the short side, whether the image is gray, and mean and variance per channel."""
    image = read_image(path, 3)
    short_side = min(image.shape[:2])
    step = -(-short_side // 256)  # Some of the pixels of a photo are enough.
    pixels = image[::step, ::step].reshape(-1, 3)
    gray = bool((pixels == pixels[:, :1]).all())
    scaled = pixels / 255
    return short_side, gray, scaled.mean(axis=0), scaled.var(axis=0)


def _read_reduced(
    path: pathlib.Path, side: int, channels: int
) -> tuple[bytes, tuple[int, int, int]]:
    """Returns an encoded image whose short side has at most `side` pixels, and its shape."""
    image = read_image(path, channels)
    height, width = image.shape[:2]
    factor = side / min(height, width)
    if factor >= 1:
        return path.read_bytes(), image.shape
    size = [max(side, round(height * factor)), max(side, round(width * factor))]
    reduced = tf.image.resize(image, size, antialias=True)
    encoded = tf.io.encode_jpeg(tf.cast(tf.round(reduced), tf.uint8), quality=95)
    return encoded.numpy(), (*size, channels)
