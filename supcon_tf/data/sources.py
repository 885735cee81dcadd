"""Labeled images that can be read in any order."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf._checks import check_choice
from supcon_tf.augmentation.crop import starts_with_crop

# Makes float32 images in [0, 1] of one common size, `[images, height, width, channels]`, out of
# images of any size and one row of drawn numbers for each.
ViewFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ImageSource(abc.ABC):
    """Labeled images with random access: what `load_digits` and the other loaders return.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> isinstance(images, supcon_tf.data.ImageSource), len(images.take([0, 3, 5]))
        (True, 3)

    Args:
        labels: `[images]` integers: positions in `class_names`, or -1 for no label.
        class_names: one name per class.
        channels: 1 (gray) or 3 (RGB).

    Attributes:
        labels: `[images]` int64 class ids, positions in `class_names`; -1 where there is no label.
        class_names: one name per class.
        channels: 1 (gray) or 3 (RGB).

    Raises:
        ValueError: if labels are not as described.
    """

    def __init__(self, labels: NDArray[Any], class_names: Sequence[str], channels: int):
        labels = np.asarray(labels)
        known = range(-1, len(class_names))
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                "`labels` must be integer class ids of shape [images]. "
                f"Received: shape={labels.shape}, dtype={labels.dtype}"
            )
        if len(labels) and not (labels.min() in known and labels.max() in known):
            raise ValueError(
                "`labels` must be positions in `class_names`, or -1 for no label. Received: ids "
                f"from {labels.min()} to {labels.max()}, {len(class_names)} class names"
            )
        self.labels = labels.astype(np.int64)
        self.class_names = tuple(class_names)
        self.channels = channels

    def __len__(self) -> int:
        return len(self.labels)

    @abc.abstractmethod
    def take(self, indices: NDArray[Any]) -> "ImageSource":
        """Returns the images at the given positions as a source of their own."""

    @abc.abstractmethod
    def views(self, indices: tf.Tensor, draws: tf.Tensor, view: ViewFunction) -> tf.Tensor:
        """Reads images and makes the same number of views of each.

        Args:
            indices: `[batch]` integers, positions of the images.
            draws: `[batch, views, numbers]` float32 in [0, 1), the randomness of each view.
            view: makes the views of a batch of images from one row of draws per image.

        Returns:
            `[batch, views, height, width, channels]` float32 in [0, 1].
        """


class ArrayImages(ImageSource):
    """Images of one size in memory.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> pixels = np.zeros([2, 8, 8, 3], np.uint8)
        >>> images = supcon_tf.data.ArrayImages(pixels, [0, 1], ["cat", "dog"])
        >>> len(images), images.channels
        (2, 3)

    Args:
        images: `[images, height, width, channels]` uint8.
        labels: `[images]` integer class ids.
        class_names: one name per class.

    Raises:
        ValueError: if the images are not uint8 of rank 4, there is not one label for each, or
            labels are not positions in `class_names` or -1.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[Any], class_names: Sequence[str]):
        images = np.asarray(images)
        if images.ndim != 4 or images.dtype != np.uint8:
            raise ValueError(
                "`images` must be uint8 of shape [images, height, width, channels]. "
                f"Received: shape={images.shape}, dtype={images.dtype}"
            )
        _require_label_of_each("images", images, labels)
        super().__init__(labels, class_names, images.shape[-1])
        # A tensor is an input of the pipeline's graph, where an array would be copied into it.
        with tf.device("CPU:0"):
            self._images = tf.constant(images)

    @property
    def images(self) -> NDArray[np.uint8]:
        """The images, `[images, height, width, channels]` uint8."""
        return self._images.numpy()

    def take(self, indices: NDArray[Any]) -> "ArrayImages":
        """Returns the images at the given positions."""
        return ArrayImages(self.images[indices], self.labels[indices], self.class_names)

    def views(self, indices: tf.Tensor, draws: tf.Tensor, view: ViewFunction) -> tf.Tensor:
        """Makes all views of the batch in one call of `view`."""
        images = tf.gather(self._images, indices)
        views = _views(images, tf.reshape(draws, [-1, draws.shape[2]]), draws.shape[1], view)
        return tf.reshape(views, [-1, draws.shape[1], *views.shape[1:]])


class EncodedImages(ImageSource):
    """Images that are decoded each time they are read, and may have different sizes.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> png = tf.io.encode_png(tf.zeros([8, 6, 3], tf.uint8)).numpy()
        >>> images = supcon_tf.data.EncodedImages([png, png], [0, 1], ["cat", "dog"])
        >>> next(iter(supcon_tf.data.image_batches(images, size=6, batch_size=2)))[0].shape
        TensorShape([2, 6, 6, 3])

    Args:
        records: one entry per image, which `read` turns into the bytes of a JPEG, PNG, BMP, GIF
            (its first frame) or, with TensorFlow 2.21, WebP or JPEG XL.
        labels: `[images]` integer class ids.
        class_names: one name per class.
        read: makes bytes of a record; `tf.io.read_file` if the records are file names, the default
            if they are the bytes themselves.
        channels: 1 or 3, what images are decoded to.

    Raises:
        ValueError: if `channels` is another number, there is not one label for each record, or
            labels are not positions in `class_names` or -1.
    """

    def __init__(
        self,
        records: Sequence[str | bytes],
        labels: NDArray[Any],
        class_names: Sequence[str],
        *,
        read: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
        channels: int = 3,
    ):
        _require_label_of_each("records", records, labels)
        super().__init__(labels, class_names, check_choice("channels", channels, (1, 3)))
        with tf.device("CPU:0"):
            self._records = tf.constant(records)
        self._read = read

    @property
    def records(self) -> NDArray[np.object_]:
        """The records, one bytes object per image."""
        return self._records.numpy()

    def take(self, indices: NDArray[Any]) -> "EncodedImages":
        """Returns the images at the given positions."""
        return EncodedImages(
            self.records[indices],
            self.labels[indices],
            self.class_names,
            read=self._read,
            channels=self.channels,
        )

    def views(self, indices: tf.Tensor, draws: tf.Tensor, view: ViewFunction) -> tf.Tensor:
        """Decodes each image once and makes its views, image by image, ten images at a time."""
        # Decoding a JPEG once, whole, takes less time than decoding what each of two views shows.
        num_views = draws.shape[1]

        def views_of_one(record_and_draws: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            record, draws = record_and_draws
            image = decode(self._read(record), self.channels)
            return _views(image[None], draws, num_views, view)

        records = tf.gather(self._records, indices)
        return tf.map_fn(views_of_one, (records, draws), fn_output_signature=tf.float32)


def _require_label_of_each(argument: str, values: Any, labels: Any) -> None:
    if len(values) != len(labels):
        raise ValueError(
            f"`{argument}` and `labels` must have the same length. "
            f"Received: {len(values)} {argument}, {len(labels)} labels"
        )


def _views(images: tf.Tensor, draws: tf.Tensor, num_views: int, view: ViewFunction) -> tf.Tensor:
    """Makes views, `[images * num_views, ...]`, of uint8 images; those of an image together."""
    images = tf.cast(images, tf.float32) / 255.0
    if not starts_with_crop(view):
        images = tf.repeat(images, num_views, axis=0)
    return view(images, draws)


def decode(contents: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes the bytes of an image of any format that TensorFlow reads.

    Of a GIF this is the first frame. TensorFlow 2.19 reads neither WebP nor JPEG XL.

    Args:
        contents: scalar string.
        channels: 1 or 3. Every format is decoded to RGB first, as some cannot be decoded to gray.

    Returns:
        `[height, width, channels]` uint8, height and width not known statically.

    Raises:
        tf.errors.InvalidArgumentError: if TensorFlow cannot read the image.
    """
    image = tf.cond(
        _keeps_its_channels(contents),
        lambda: _decode_own_channels(contents),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    image = tf.ensure_shape(image, [None, None, 3])
    return image if channels == 3 else tf.image.rgb_to_grayscale(image)


def _keeps_its_channels(contents: tf.Tensor) -> tf.Tensor:
    """Whether TensorFlow decodes an image to as many channels as it has and to no other number.

    An animated WebP is not among them: decoded so, it ends the process in TensorFlow 2.21, where
    three channels are an error.
    """
    header = tf.io.decode_raw(contents, tf.uint8, fixed_length=21)

    def has(mark: bytes, position: int) -> tf.Tensor:
        return tf.reduce_all(header[position : position + len(mark)] == list(mark))

    # https://developers.google.com/speed/webp/docs/riff_container
    animated = has(b"VP8X", 12) & (tf.bitwise.bitwise_and(header[20], 2) > 0)
    webp = has(b"RIFF", 0) & has(b"WEBP", 8) & ~animated
    jpeg_xl = has(b"\xff\x0a", 0) | has(b"\x00\x00\x00\x0cJXL ", 0)
    return webp | jpeg_xl


def _decode_own_channels(contents: tf.Tensor) -> tf.Tensor:
    """Decodes gray or RGB, with alpha or without, and makes it RGB."""
    image = tf.io.decode_image(contents, channels=0, expand_animations=False)
    gray = tf.shape(image)[-1] < 3
    return tf.gather(image, tf.where(gray, [0, 0, 0], [0, 1, 2]), axis=-1)
