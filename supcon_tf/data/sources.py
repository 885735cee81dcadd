"""Labeled samples and images that can be read in any order."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.augmentation import Transform
from supcon_tf.augmentation.crop import starts_with_crop
from supcon_tf.data.decoding import LARGEST_VALUES, PixelFormat, decode

# Function of float32 images in [0, 1] and one row of draws per view. It returns views of one size,
# `[views, height, width, channels]` float32 in [0, 1].
ViewFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Source(abc.ABC):
    """Base class of labeled samples with random access.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> isinstance(images, supcon_tf.data.Source), len(images.take([0, 3, 5]))
        (True, 3)

    Args:
        labels: `[samples]` integer class ids, indices into `class_names`; -1 for unlabeled samples.
            For samples of several classes, label distributions `[samples, classes]`: a finite
            number of at least 0 for each of `class_names`; all 0 for unlabeled samples.
        class_names: names of the classes.

    Attributes:
        labels: `[samples]` int64 class ids, or `[samples, classes]` float32 label distributions.
        class_names: names of the classes.

    Raises:
        ValueError: if an argument is not as described.
    """

    def __init__(self, labels: NDArray[Any], class_names: Sequence[str]):
        if isinstance(class_names, str):
            raise ValueError(f"`class_names` must be a list of names. Received: {class_names!r}")
        labels = np.asarray(labels)
        check = _check_distributions if labels.ndim == 2 else _check_class_ids
        self.labels: NDArray[Any] = check(labels, len(class_names))
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """The labels `[samples]`, for code that does not take label distributions.

        Raises:
            ValueError: if the labels are distributions.
        """
        if self.labels.ndim == 2:
            raise ValueError(
                "The labels of the source must be class ids `[samples]`. "
                f"Received: label distributions of shape {self.labels.shape}"
            )
        return self.labels

    @abc.abstractmethod
    def take(self, indices: NDArray[Any]) -> "Source":
        """Returns a source of the samples with the given indices."""

    @abc.abstractmethod
    def check_transform(self, transform: Any) -> None:
        """Raises `ValueError` unless `create_views` can call the transform."""

    @abc.abstractmethod
    def create_views(
        self, indices: tf.Tensor, seeds: tf.Tensor, num_views: int, transform: Any
    ) -> Any:
        """Reads samples and creates random views of each.

        Args:
            indices: `[batch]` integers, indices of the samples.
            seeds: `[batch, 2]` integers, a seed for the views of each sample.
            num_views: number of views of each sample.
            transform: transform from samples to views.

        Returns:
            A tensor `[batch, num_views, ...]`, or a structure of such tensors.
        """


class ImageSource(Source):
    """Base class of labeled images with random access, which all loaders return.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_digits("test")
        >>> isinstance(images, supcon_tf.data.ImageSource), len(images.take([0, 3, 5]))
        (True, 3)

    Args:
        labels: class ids `[images]` or label distributions `[images, classes]`, as in `Source`.
        class_names: names of the classes.
        channels: number of channels, such as 1 (gray) or 3 (RGB).

    Attributes:
        labels: `[images]` int64 class ids, or `[images, classes]` float32 label distributions.
        class_names: names of the classes.
        channels: number of channels, such as 1 (gray) or 3 (RGB).

    Raises:
        ValueError: if `labels` is not as described.
    """

    def __init__(self, labels: NDArray[Any], class_names: Sequence[str], channels: int):
        super().__init__(labels, class_names)
        self.channels = channels

    @abc.abstractmethod
    def take(self, indices: NDArray[Any]) -> "ImageSource":
        """Returns a source of the images with the given indices."""

    def check_transform(self, transform: Any) -> None:
        """Raises `ValueError` unless the transform is one of `supcon_tf.augmentation`."""
        if not isinstance(getattr(transform, "num_draws", None), int):
            raise ValueError(
                "`transform` must be a transform of supcon_tf.augmentation, such as "
                f"`supcon_tf.augmentation.sim_augment(32)`. Received: {transform!r}"
            )

    def create_views(
        self, indices: tf.Tensor, seeds: tf.Tensor, num_views: int, transform: Transform
    ) -> tf.Tensor:
        """Draws the random numbers of the transform, and creates the views of each image."""
        return self.views(indices, draw_numbers(seeds, num_views, transform), transform)

    @abc.abstractmethod
    def views(self, indices: tf.Tensor, draws: tf.Tensor, transform: ViewFunction) -> tf.Tensor:
        """Reads images and creates the same number of views of each.

        Args:
            indices: `[batch]` integers, indices of the images.
            draws: `[batch, views, num_draws]` float32 in [0, 1), the random numbers of each view.
            transform: transform from images and draws to views.

        Returns:
            `[batch, views, height, width, channels]` float32 in [0, 1].
        """


class ArrayImages(ImageSource):
    """Decoded images of one size in memory.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> pixels = np.zeros([2, 8, 8, 3], np.uint8)
        >>> images = supcon_tf.data.ArrayImages(pixels, [0, 1], ["cat", "dog"])
        >>> len(images), images.channels
        (2, 3)

    Args:
        images: `[images, height, width, channels]`: uint8 from 0 to 255, uint16 from 0 to 65,535,
            or float32 from 0 to 1, with any number of channels.
        labels: class ids `[images]` or label distributions `[images, classes]`, as in `Source`.
        class_names: names of the classes.

    Raises:
        ValueError: if the images have another dtype or rank, or floating-point values outside of
            [0, 1], the number of labels differs, or labels are not as described.
    """

    def __init__(self, images: NDArray[Any], labels: NDArray[Any], class_names: Sequence[str]):
        images = np.asarray(images)
        channels_first = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4
        dtypes = (*LARGEST_VALUES, "float32")
        if images.ndim != 4 or images.dtype.name not in dtypes or channels_first:
            raise ValueError(
                "`images` must be uint8, uint16 or float32 of shape [images, height, width, "
                f"channels]{': use `np.moveaxis(images, 1, -1)`' if channels_first else ''}. "
                f"Received: shape={images.shape}, dtype={images.dtype}"
            )
        if images.dtype == np.float32 and not np.all((images >= 0) & (images <= 1)):
            raise ValueError(
                "`images` of dtype float32 must be in [0, 1]. Convert pixels from 0 to 255 to "
                f"uint8. Received: values from {images.min()} to {images.max()}"
            )
        _check_same_length("images", images, labels)
        super().__init__(labels, class_names, images.shape[-1])
        # The graph of a pipeline takes a tensor as an input, but would hold a copy of a NumPy
        # array.
        with tf.device("CPU:0"):
            self._images = tf.constant(images)

    @property
    def images(self) -> NDArray[Any]:
        """The images, `[images, height, width, channels]`, of the dtype that was passed."""
        return self._images.numpy()

    def take(self, indices: NDArray[Any]) -> "ArrayImages":
        """Returns a source of the images with the given indices."""
        return ArrayImages(self.images[indices], self.labels[indices], self.class_names)

    def views(self, indices: tf.Tensor, draws: tf.Tensor, transform: ViewFunction) -> tf.Tensor:
        """Creates all views of the batch in one call of `transform`."""
        images = tf.gather(self._images, indices)
        draws_of_views = tf.reshape(draws, [-1, draws.shape[2]])
        views = _create_views(images, draws_of_views, draws.shape[1], transform)
        return tf.reshape(views, [-1, draws.shape[1], *views.shape[1:]])


class EncodedImages(ImageSource):
    """Encoded images that are decoded each time they are read. They can have different sizes.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> png = tf.io.encode_png(tf.zeros([8, 6, 3], tf.uint8)).numpy()
        >>> images = supcon_tf.data.EncodedImages([png, png], [0, 1], ["cat", "dog"])
        >>> next(iter(supcon_tf.data.evaluation_batches(images, size=6, batch_size=2)))[0].shape
        TensorShape([2, 6, 6, 3])

    Args:
        records: one record per image, from which `read` gets the bytes of a JPEG, PNG, BMP, GIF
            (the first frame is used) or, with TensorFlow 2.21, WebP or JPEG XL.
        labels: class ids `[images]` or label distributions `[images, classes]`, as in `Source`.
        class_names: names of the classes.
        read: function from a record to the bytes of an image. Use `tf.io.read_file` if the records
            are file names. By default the records are the bytes.
        channels: number of channels of the decoded images: 1, 3 or 4. Images with 4 must be PNG
            files, whose fourth channel can have any meaning.
        dtype: `"uint8"`, or `"uint16"` to decode all 16 bits of PNG files.

    Raises:
        ValueError: if `channels` or `dtype` is not one of these, the number of labels differs, or
            labels are not as described.
    """

    def __init__(
        self,
        records: Sequence[str | bytes],
        labels: NDArray[Any],
        class_names: Sequence[str],
        *,
        read: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
        channels: int = 3,
        dtype: str = "uint8",
    ):
        _check_same_length("records", records, labels)
        super().__init__(labels, class_names, channels)
        self._pixels = PixelFormat(channels, dtype)
        with tf.device("CPU:0"):
            self._records = tf.constant(records)
        self._read = read

    @property
    def records(self) -> NDArray[np.object_]:
        """The records, `[images]` bytes objects."""
        return self._records.numpy()

    def take(self, indices: NDArray[Any]) -> "EncodedImages":
        """Returns a source of the images with the given indices."""
        return EncodedImages(
            self.records[indices],
            self.labels[indices],
            self.class_names,
            read=self._read,
            channels=self.channels,
            dtype=self._pixels.dtype,
        )

    def views(self, indices: tf.Tensor, draws: tf.Tensor, transform: ViewFunction) -> tf.Tensor:
        """Decodes each image once and creates its views, for ten images in parallel."""
        records = tf.gather(self._records, indices)
        return views_of_encoded_images(records, draws, transform, self._pixels, self._read)


def draw_numbers(seeds: tf.Tensor, num_views: int, transform: Transform) -> tf.Tensor:
    """Draws the random numbers of a transform.

    Args:
        seeds: `[batch, 2]` integers, a seed for the views of each image.
        num_views: number of views of each image.
        transform: the transform.

    Returns:
        `[batch, num_views, num_draws]` float32 in [0, 1).
    """

    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([num_views, transform.num_draws], seed)

    return tf.map_fn(draw, seeds, fn_output_signature=tf.float32)


def views_of_encoded_images(
    records: tf.Tensor,
    draws: tf.Tensor,
    transform: ViewFunction,
    pixels: PixelFormat,
    read: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """Decodes each image once and creates its views, for ten images in parallel.

    Args:
        records: `[batch]` records of images.
        draws: `[batch, views, num_draws]` float32, the random numbers of each view.
        transform: transform from images and draws to views.
        pixels: the pixels to decode the images to.
        read: function from a record to the bytes of an image.

    Returns:
        `[batch, views, height, width, channels]` float32.
    """
    # Decoding a whole JPEG once is faster than decoding two of its crops.
    num_views = draws.shape[1]

    def views_of_image(record_and_draws: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        record, draws = record_and_draws
        image = decode(read(record), pixels)
        return _create_views(image[None], draws, num_views, transform)

    return tf.map_fn(views_of_image, (records, draws), fn_output_signature=tf.float32)


def _check_class_ids(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "`labels` must be integer class ids, one for each sample, or label distributions of "
            "shape [samples, classes]. "
            f"Received: shape={labels.shape}, dtype={labels.dtype}"
        )
    known = range(-1, num_classes)
    if len(labels) and not (labels.min() in known and labels.max() in known):
        raise ValueError(
            "`labels` must be indices into `class_names`, or -1 for unlabeled. Received: ids "
            f"from {labels.min()} to {labels.max()}, {num_classes} class names"
        )
    return labels.astype(np.int64)


def _check_distributions(labels: NDArray[Any], num_classes: int) -> NDArray[np.float32]:
    if labels.dtype.kind not in "biuf" or labels.shape[1] < 2 or labels.shape[1] != num_classes:
        raise ValueError(
            "`labels` of shape [samples, classes] must be numbers, one for each of two or more "
            "`class_names`. Class ids must have the shape [samples]. "
            f"Received: shape={labels.shape}, dtype={labels.dtype}, {num_classes} class names"
        )
    if not np.all((labels >= 0) & np.isfinite(labels)):
        raise ValueError(
            "`labels` of shape [samples, classes] must be finite and not negative. "
            f"Received: values from {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.float32)


def _check_same_length(argument: str, values: Any, labels: Any) -> None:
    if len(values) != len(labels):
        raise ValueError(
            f"`{argument}` and `labels` must have the same length. "
            f"Received: {len(values)} {argument}, {len(labels)} labels"
        )


def _create_views(
    images: tf.Tensor, draws: tf.Tensor, num_views: int, transform: ViewFunction
) -> tf.Tensor:
    """Creates views `[images * num_views, ...]`, image by image."""
    images = tf.cast(images, tf.float32) / LARGEST_VALUES.get(images.dtype.name, 1)
    if not starts_with_crop(transform):
        images = tf.repeat(images, num_views, axis=0)
    return transform(images, draws)
