"""Random crops that are resized to one size."""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer
from supcon_tf.augmentation.base import Compose
from supcon_tf.augmentation.windows import DEFINITIONS, LEAST_COVERED, draw_windows


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Cuts out a random rectangle of whole pixels and resizes it bilinearly to a square.

    A rectangle that exceeds the image is drawn again. There are two definitions:

    - `"torchvision"`: area and logarithm of the aspect ratio are uniform. After ten failures, the
      central rectangle whose aspect ratio is the allowed one nearest to that of the image.
    - `"tensorflow"`: `tf.image.sample_distorted_bounding_box`, as the official SupCon and SimCLR
      codes call it. The aspect ratio is uniform, and so is the height within what the range of
      areas allows. A crop shows at least a tenth of the image. After a hundred failures, the
      central square.

    The second shows less: with areas from 0.08 to 1, the mean crop shows 0.387 of an image of
    375 x 500 pixels, and 0.432 by the first. Both resize as `tf.image.resize` does, without
    antialiasing. torchvision antialiases where it shrinks, by default.

    Examples:
        >>> import tensorflow as tf
        >>> from supcon_tf import augmentation
        >>> crop = augmentation.RandomResizedCrop(8)
        >>> draws = tf.random.stateless_uniform([2, crop.num_draws], seed=[0, 1])
        >>> crop(tf.ones([2, 12, 10, 3]), draws).shape
        TensorShape([2, 8, 8, 3])

    Args:
        size: side of the result in pixels.
        area: smallest and largest fraction of the image's area.
        aspect: smallest and largest width / height.
        definition: `"torchvision"` or `"tensorflow"`.

    Raises:
        ValueError: if `size` is not an integer above 0, or a range is not above 0, the smaller
            number first; areas are at most 1. If `definition` is not one of the above, or is
            `"tensorflow"` and the largest area is below 0.1.
    """

    size: int
    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    definition: str = "torchvision"

    num_draws = 4

    def __post_init__(self) -> None:
        check_integer("size", self.size)
        check_choice("definition", self.definition, tuple(DEFINITIONS))
        for argument, (low, high), most in (
            ("area", self.area, 1.0),
            ("aspect", self.aspect, math.inf),
        ):
            if not 0 < low <= high <= most:
                raise ValueError(
                    f"`{argument}` must be a smallest and a largest number, above 0 and at most "
                    f"{most}. Received: {(low, high)}"
                )
        if self.definition == "tensorflow" and self.area[1] < LEAST_COVERED:
            raise ValueError(
                f"`area` must reach {LEAST_COVERED} with definition='tensorflow', which refuses "
                f"smaller crops. Received: {self.area}"
            )

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Crops images, all of them equally often.

        Args:
            images: `[images, height, width, channels]`.
            draws: `[crops, 4]`, the crops of an image together.

        Returns:
            `[crops, size, size, channels]` float32.
        """
        images = tf.convert_to_tensor(images)
        shape = tf.shape(images)
        windows = draw_windows(
            draws, shape[1], shape[2], tuple(self.area), tuple(self.aspect), self.definition
        )
        image_of_crop = tf.repeat(tf.range(shape[0]), tf.shape(draws)[0] // shape[0])
        # A program of XLA is compiled for each size of images that comes up.
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
    """What `_resize_one_by_one` does, faster."""
    _, height, width, channels = images.shape
    centers = (tf.range(size, dtype=tf.float32) + 0.5) / size

    def places(first: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first, length = first[:, None], length[:, None]
        most = tf.cast(length - 1, tf.float32)
        place = centers * tf.cast(length, tf.float32) - 0.5
        place = tf.clip_by_value(place, 0.0, most)
        before = tf.floor(place)
        after = tf.minimum(before + 1, most)
        return first + tf.cast(before, tf.int32), first + tf.cast(after, tf.int32), place - before

    top, bottom, down = places(windows[:, 0], windows[:, 2])
    left, right, across = places(windows[:, 1], windows[:, 3])
    pixels = tf.cast(tf.reshape(images, [-1, channels]), tf.float32)
    first_row = image_of_crop[:, None] * height

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, (first_row + row)[:, :, None] * width + column[:, None, :])

    across, down = across[:, None, :, None], down[:, :, None, None]
    above = read(top, left) * (1 - across) + read(top, right) * across
    below = read(bottom, left) * (1 - across) + read(bottom, right) * across
    return above * (1 - down) + below * down


def crops_first(transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> bool:
    """Whether a transform begins with a crop, which makes several views out of one image."""
    if isinstance(transform, Compose) and transform.transforms:
        return crops_first(transform.transforms[0])
    return isinstance(transform, RandomResizedCrop)
