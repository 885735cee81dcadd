"""Encoded images that a function reads by their indices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.sources import (
    ImageSource,
    ViewFunction,
    draw_numbers,
    views_of_encoded_images,
)
from supcon_tf.data.threads import THREADS_FOR_DISKS, map_in_threads

# Function of `[batch]` int64 indices to as many encoded images.
ReadImages = Callable[[NDArray[np.int64]], Sequence[bytes]]

_IMAGES_PER_READ = 64


class IndexedImages(ImageSource):
    """Encoded images that a Python function reads when they are needed.

    Use it for images in a data base or in files of your own format. Only the labels are in memory.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> colors = {i: tf.fill([8, 8, 3], tf.cast(100 * i, tf.uint8)) for i in range(2)}
        >>> def read(indices):
        ...     return [tf.io.encode_png(colors[i]).numpy() for i in indices]
        >>> images = supcon_tf.data.IndexedImages(read, [0, 1], ["dark", "light"])
        >>> batches = supcon_tf.data.evaluation_batches(images, size=8, batch_size=2)
        >>> next(iter(batches))[0][1, 0, 0, 0].numpy() * 255
        np.float32(100.0)

    Args:
        read: function from `[batch]` int64 indices to the bytes of as many images, in the formats
            of `EncodedImages`. Several threads call it at the same time, so it must be thread-safe.
            The same index must always give the same image.
        labels: class ids `[images]` or label distributions `[images, classes]`, as in `Source`.
        class_names: names of the classes.
        channels: as in `EncodedImages`.
        dtype: as in `EncodedImages`.

    Raises:
        ValueError: if `read` is not callable, `channels` or `dtype` is not as in `EncodedImages`,
            or labels are not as described.
    """

    def __init__(
        self,
        read: ReadImages,
        labels: NDArray[Any],
        class_names: Sequence[str],
        *,
        channels: int = 3,
        dtype: str = "uint8",
    ):
        if not callable(read):
            raise ValueError(
                f"`read` must be a function from indices to bytes. Received: {type(read)}"
            )
        super().__init__(labels, class_names, channels)
        self._pixels = PixelFormat(channels, dtype)
        self._read = read

    def take(self, indices: NDArray[Any]) -> "IndexedImages":
        """Returns a source of the images with the given indices."""
        chosen = np.arange(len(self))[indices]

        def read(positions: NDArray[np.int64]) -> Sequence[bytes]:
            return self._read(chosen[positions])

        return IndexedImages(
            read,
            self.labels[chosen],
            self.class_names,
            channels=self.channels,
            dtype=self._pixels.dtype,
        )

    def views(self, indices: tf.Tensor, draws: tf.Tensor, transform: ViewFunction) -> tf.Tensor:
        """Reads the images of the batch in one call, then decodes and transforms each."""
        contents = tf.numpy_function(self._read_batch, [tf.cast(indices, tf.int64)], tf.string)
        contents = tf.ensure_shape(contents, indices.shape)
        return views_of_encoded_images(contents, draws, transform, self._pixels)

    def create_views_of_contents(
        self, contents: tf.Tensor, seeds: tf.Tensor, num_views: int, transform: Any
    ) -> tf.Tensor:
        """Creates the views of `[batch]` encoded images as `create_views` does from indices."""
        draws = draw_numbers(seeds, num_views, transform)
        return views_of_encoded_images(contents, draws, transform, self._pixels)

    def read_in_order(self, indices: tf.Tensor) -> tf.Tensor:
        """Reads many images: in increasing order, in parts, which several threads read.

        Args:
            indices: `[images]` int64.

        Returns:
            `[images]` strings, the encoded images in the order of `indices`.
        """
        contents = tf.numpy_function(self._read_in_order, [indices], tf.string)
        return tf.ensure_shape(contents, indices.shape)

    def _read_in_order(self, indices: NDArray[np.int64]) -> NDArray[np.object_]:
        order = np.argsort(indices)
        parts = np.array_split(indices[order], -(-len(indices) // _IMAGES_PER_READ))
        contents = np.empty(len(indices), object)
        contents[order] = np.concatenate(
            list(map_in_threads(self._read_batch, parts, THREADS_FOR_DISKS))
        )
        return contents

    def _read_batch(self, indices: NDArray[np.int64]) -> NDArray[np.object_]:
        contents = list(self._read(indices))
        if len(contents) != len(indices) or not all(isinstance(x, bytes) for x in contents):
            types = sorted({type(x).__name__ for x in contents})
            raise ValueError(
                f"`read` must return the bytes of {len(indices)} images. "
                f"Received: {len(contents)} objects of the types {types}"
            )
        return np.array(contents, object)
