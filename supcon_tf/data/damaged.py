"""Sources without the images that cannot be decoded."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from supcon_tf.data.readable import describe_error
from supcon_tf.data.sources import ImageSource
from supcon_tf.data.threads import THREADS_FOR_DISKS, map_in_threads


def drop_damaged(
    source: ImageSource, *, progress: Callable[[int, int], Any] | None = None
) -> ImageSource:
    """Reads and decodes all images once, in threads, and leaves out those that are damaged.

    A warning states their number, and the index and the error of the first one. The same files
    always give the same source, so that trainings are reproducible. For directories,
    `supcon_tf.data.load_folder(..., on_error="skip", manifest=...)` remembers which images are not
    damaged.

    Examples:
        >>> import tensorflow as tf, warnings, supcon_tf
        >>> png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
        >>> images = supcon_tf.data.EncodedImages([png, png[:30], png], [0, 1, 1], ["cat", "dog"])
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     images = supcon_tf.data.drop_damaged(images)
        >>> images.labels.tolist()
        [0, 1]

    Args:
        source: the images.
        progress: function that is called after each image with the number of images so far and
            the number of all images.

    Returns:
        A source of the other images; the same source if no image is damaged.

    Raises:
        ValueError: if all images are damaged.
    """

    def read(index: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            no_draws = tf.zeros([1, 1, 0])
            return source.views(index[None], no_draws, lambda images, _: images)

    # TensorFlow warns of retracing if several threads wait for the first trace of a `tf.function`.
    read_in_graph = tf.function(read).get_concrete_function(tf.TensorSpec([], tf.int64))

    def find_damage(position: int) -> str | None:
        index = tf.constant(position, tf.int64)
        try:
            read_in_graph(index)
            return None
        except tf.errors.OpError:
            pass
        try:
            read(index)  # the error of a graph is hard to read
        except tf.errors.OpError as error:
            return describe_error(error)
        except Exception as error:  # of the function that reads, which can raise any
            return repr(error)
        return None

    damaged: dict[int, str] = {}
    for index, damage in enumerate(
        map_in_threads(find_damage, range(len(source)), THREADS_FOR_DISKS)
    ):
        if damage is not None:
            damaged[index] = damage
        if progress is not None:
            progress(index + 1, len(source))
    if not damaged:
        return source
    index, damage = next(iter(damaged.items()))
    if len(damaged) == len(source):
        raise ValueError(
            "`source` must have images that can be decoded. "
            f"Received: {len(source)} damaged images, the first of which has the error: {damage}"
        )
    warnings.warn(
        f"{len(damaged)} of {len(source)} images are damaged and left out. The first one is image "
        f"{index}: {damage}",
        stacklevel=2,
    )
    return source.take(np.setdiff1d(np.arange(len(source)), list(damaged)))
