"""Random crops that are resized to one size."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer, check_range
from supcon_tf.augmentation.base import Compose, to_tuples
from supcon_tf.augmentation.crop_windows import CROPS, MIN_COVERED, draw_windows


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Crops a random window of whole pixels and resizes it bilinearly to a square.

    A window that exceeds the image is drawn again. Two definitions exist:

    - `"torchvision"`: the area and the logarithm of the aspect ratio are uniform. After ten failed
      attempts, the crop is the central window with the allowed aspect ratio that is nearest to the
      image's.
    - `"tensorflow"`: `tf.image.sample_distorted_bounding_box`, as the official SupCon and SimCLR
      codes call it. The aspect ratio is uniform, and the height is uniform within the limits that
      `scale` sets. A crop covers at least a tenth of the image. After a hundred failed attempts,
      the crop is the central square.

    The second definition covers less of the image. With `scale=(0.08, 1)`, the mean crop of an
    image of 375 x 500 pixels covers 0.387 of it, and 0.432 with the first definition. Both resize
    like `tf.image.resize` without antialiasing. By default torchvision antialiases when it shrinks
    an image.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> crop = augmentation.RandomResizedCrop(8)
        >>> draws = tf.random.stateless_uniform([2, crop.num_draws], seed=[0, 1])
        >>> crop(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of the result in pixels.
        scale: smallest and largest area of the crop, as fractions of the image's area.
        ratio: smallest and largest aspect ratio of the crop, width / height.
        definition: `"torchvision"` or `"tensorflow"`.

    Raises:
        ValueError: if `size` is not a positive integer, `scale` or `ratio` is not a range of
            positive numbers with the smaller one first, `scale` exceeds 1, `definition` is not one
            of the above, or the largest `scale` is below 0.1 with `"tensorflow"`.
    """

    size: int
    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    definition: str = "torchvision"

    num_draws = 4

    def __post_init__(self) -> None:
        check_integer("size", self.size)
        check_choice("definition", self.definition, tuple(CROPS))
        check_range("scale", self.scale, limit=1.0)
        check_range("ratio", self.ratio)
        to_tuples(self, "scale", "ratio")
        if self.definition == "tensorflow" and self.scale[1] < MIN_COVERED:
            raise ValueError(
                f"`scale` must end at {MIN_COVERED} or above with definition='tensorflow', which "
                f"rejects smaller crops. Received: {self.scale}"
            )

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Crops the same number of views from each image.

        Args:
            images: `[images, height, width, channels]`.
            draws: `[crops, 4]`. The rows of one image are adjacent.

        Returns:
            `[crops, size, size, channels]` float32.
        """
        images = tf.convert_to_tensor(images)
        shape = tf.shape(images)
        windows = draw_windows(draws, shape[1], shape[2], self.scale, self.ratio, self.definition)
        image_of_crop = tf.repeat(tf.range(shape[0]), tf.shape(draws)[0] // shape[0])
        # XLA would compile a program for each new size of image.
        resize = _resize_one_by_one if None in images.shape[1:] else _resize_at_once
        return resize(images, windows, image_of_crop, int(self.size))


def _resize_one_by_one(
    images: tf.Tensor, windows: tf.Tensor, image_of_crop: tf.Tensor, size: int
) -> tf.Tensor:
    def resize(image_and_window: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, (top, left, height, width) = image_and_window[0], tf.unstack(image_and_window[1])
        crop = images[image, top : top + height, left : left + width]
        return tf.image.resize(crop, [size, size])

    return tf.map_fn(resize, (image_of_crop, windows), fn_output_signature=tf.float32)


@tf.function(jit_compile=True, autograph=False)
def _resize_at_once(
    images: tf.Tensor, windows: tf.Tensor, image_of_crop: tf.Tensor, size: int
) -> tf.Tensor:
    """Computes the same as `_resize_one_by_one`, faster, for images of static size."""
    _, height, width, channels = images.shape
    centers = (tf.range(size, dtype=tf.float32) + 0.5) / size

    def neighbors(first: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the two source pixels of each output pixel, and the weight of the second."""
        first, length = first[:, None], length[:, None]
        last = tf.cast(length - 1, tf.float32)
        position = centers * tf.cast(length, tf.float32) - 0.5
        position = tf.clip_by_value(position, 0.0, last)
        before = tf.floor(position)
        after = tf.minimum(before + 1, last)
        return (
            first + tf.cast(before, tf.int32),
            first + tf.cast(after, tf.int32),
            position - before,
        )

    top, bottom, down = neighbors(windows[:, 0], windows[:, 2])
    left, right, across = neighbors(windows[:, 1], windows[:, 3])
    pixels = tf.cast(tf.reshape(images, [-1, channels]), tf.float32)
    first_row = image_of_crop[:, None] * height

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, (first_row + row)[:, :, None] * width + column[:, None, :])

    across, down = across[:, None, :, None], down[:, :, None, None]
    above = read(top, left) * (1 - across) + read(top, right) * across
    below = read(bottom, left) * (1 - across) + read(bottom, right) * across
    return above * (1 - down) + below * down


def starts_with_crop(transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> bool:
    """Returns whether a transform starts with a crop, which can crop one image several times."""
    if isinstance(transform, Compose) and transform.transforms:
        return starts_with_crop(transform.transforms[0])
    return isinstance(transform, RandomResizedCrop)
