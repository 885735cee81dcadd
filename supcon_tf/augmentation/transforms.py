"""The transforms that most policies share: crop, flip, colour jitter and grayscale."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable

import tensorflow as tf

from supcon_tf._arguments import integer
from supcon_tf.augmentation.base import Compose, ImageTransform, in_turn

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and tf.image


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Cuts out a random rectangle and resizes it bilinearly to a square.

    Area and logarithm of the aspect ratio are uniform. A side that would exceed the image is
    clipped to it (torchvision draws again instead).

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

    Raises:
        ValueError: if `size` is not an integer above 0, or a range is not above 0, the smaller
            number first; areas are at most 1.
    """

    size: int
    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    num_draws = 4

    def __post_init__(self) -> None:
        integer("size", self.size)
        for argument, (low, high), most in (
            ("area", self.area, 1.0),
            ("aspect", self.aspect, math.inf),
        ):
            if not 0 < low <= high <= most:
                raise ValueError(
                    f"`{argument}` must be a smallest and a largest number, above 0 and at most "
                    f"{most}. Received: {(low, high)}"
                )

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Crops images, all of them equally often.

        Args:
            images: `[images, height, width, channels]`.
            draws: `[crops, 4]`, the crops of an image together.

        Returns:
            `[crops, size, size, channels]` float32.
        """
        image_height = tf.cast(tf.shape(images)[1], tf.float32)
        image_width = tf.cast(tf.shape(images)[2], tf.float32)
        area = _between(draws[:, 0], *self.area) * image_height * image_width
        aspect = tf.exp(_between(draws[:, 1], *(math.log(bound) for bound in self.aspect)))
        height = tf.clip_by_value(tf.sqrt(area / aspect), 1.0, image_height)
        width = tf.clip_by_value(tf.sqrt(area * aspect), 1.0, image_width)
        top = draws[:, 2] * (image_height - height)
        left = draws[:, 3] * (image_width - width)
        # crop_and_resize puts 0 and 1 at the centres of the outermost pixels.
        last_row, last_column = tf.maximum(image_height, 2) - 1, tf.maximum(image_width, 2) - 1
        boxes = tf.stack(
            [
                top / last_row,
                left / last_column,
                (top + height - 1) / last_row,
                (left + width - 1) / last_column,
            ],
            axis=1,
        )
        crops_of_each = tf.shape(draws)[0] // tf.shape(images)[0]
        image_of_crop = tf.repeat(tf.range(tf.shape(images)[0]), crops_of_each)
        if None in images.shape[1:]:  # a program would be compiled for each size that comes up
            return tf.image.crop_and_resize(images, boxes, image_of_crop, [self.size, self.size])
        return _crop(images, boxes, image_of_crop, self.size)


@tf.function(jit_compile=True, autograph=False)
def _crop(images: tf.Tensor, boxes: tf.Tensor, image_of_crop: tf.Tensor, size: int) -> tf.Tensor:
    """What `tf.image.crop_and_resize` does, in about half of its time."""
    _, height, width, channels = images.shape
    steps = tf.linspace(0.0, 1.0, size) if size > 1 else tf.constant([0.5])

    def places(first: tf.Tensor, last: tf.Tensor, length: int) -> tuple[tf.Tensor, ...]:
        place = (first[:, None] + steps * (last - first)[:, None]) * (length - 1)
        place = tf.clip_by_value(place, 0.0, length - 1.0)
        before = tf.floor(place)
        index = tf.cast(before, tf.int32)
        return index, tf.minimum(index + 1, length - 1), place - before

    top, bottom, down = places(boxes[:, 0], boxes[:, 2], height)
    left, right, across = places(boxes[:, 1], boxes[:, 3], width)
    pixels = tf.reshape(images, [-1, channels])
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


@dataclasses.dataclass(frozen=True)
class RandomHorizontalFlip(ImageTransform):
    """Mirrors an image left to right.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomHorizontalFlip(probability=0.5).num_draws
        1

    Args:
        probability: how often.
    """

    probability: float = 0.5

    num_draws = 1

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Flips a `[height, width, channels]` image or not."""
        return tf.cond(
            draws[0] < self.probability, lambda: tf.reverse(image, axis=[1]), lambda: image
        )


@dataclasses.dataclass(frozen=True)
class ColorJitter(ImageTransform):
    """Changes brightness, contrast, saturation and hue, in an order drawn for each image.

    The factors of the first three are uniform in `[1 - strength, 1 + strength]`; the hue is turned
    by a fraction of the colour circle uniform in `[-hue, hue]`. Images of one channel have neither
    saturation nor hue.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.ColorJitter(brightness=0.8, hue=0.2).num_draws
        6

    Args:
        brightness: strength of the multiplicative change.
        contrast: strength of the change relative to the image's mean grey.
        saturation: strength of the change relative to each pixel's grey.
        hue: largest turn, at most 0.5.
        probability: how often an image is changed at all.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    probability: float = 0.8

    num_draws = 6  # one per change, whether to change at all, the order

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes a `[height, width, channels]` image or not."""
        changes = [
            lambda image: _blend(image, 0.0, _factor(draws[0], self.brightness)),
            lambda image: _blend(
                image, tf.reduce_mean(_grey(image)), _factor(draws[1], self.contrast)
            ),
        ]
        if image.shape[-1] == 3:
            changes += [
                lambda image: _blend(image, _grey(image), _factor(draws[2], self.saturation)),
                lambda image: _turn_hue(image, _between(draws[3], -self.hue, self.hue)),
            ]
        orders = list(itertools.permutations(range(len(changes))))
        order = tf.gather(orders, tf.cast(draws[5] * len(orders), tf.int32))

        def change(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            return tf.switch_case(
                order[step], [functools.partial(function, image) for function in changes]
            )

        def jitter() -> tf.Tensor:
            return in_turn(change, len(changes), image)

        return tf.cond(draws[4] < self.probability, jitter, lambda: image)


@dataclasses.dataclass(frozen=True)
class RandomGrayscale(ImageTransform):
    """Takes the colour out of an image, keeping its channels.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomGrayscale(probability=0.2).num_draws
        1

    Args:
        probability: how often.
    """

    probability: float = 0.2

    num_draws = 1

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Greys a `[height, width, channels]` image or not."""
        return tf.cond(
            draws[0] < self.probability,
            lambda: tf.broadcast_to(_grey(image), image.shape),
            lambda: image,
        )


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + draw * (high - low)


def _factor(draw: tf.Tensor, strength: float) -> tf.Tensor:
    return _between(draw, max(0.0, 1 - strength), 1 + strength)


def _blend(image: tf.Tensor, other: tf.Tensor | float, factor: tf.Tensor) -> tf.Tensor:
    """`other` at factor 0, `image` at 1, beyond them above 1; kept in [0, 1]."""
    return tf.clip_by_value(other + (image - other) * factor, 0.0, 1.0)


def _grey(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] == 1:
        return image
    channels = tf.unstack(image, axis=-1)
    return sum(weight * x for weight, x in zip(_LUMA, channels, strict=True))[..., None]


def _turn_hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Turns the hue of HSV, keeping saturation and value.

    A channel of HSV is the value less the chroma times a trapezoid of the hue, the same for red,
    green and blue but for a shift.
    """
    red, green, blue = tf.unstack(image, axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    sextant = tf.where(
        value == red,
        tf.math.divide_no_nan(green - blue, chroma),
        tf.where(
            value == green,
            2 + tf.math.divide_no_nan(blue - red, chroma),
            4 + tf.math.divide_no_nan(red - green, chroma),
        ),
    )

    def channel(shift: float) -> tf.Tensor:
        place = sextant + 6 * turn + shift
        place -= 6 * tf.floor(place / 6)
        return value - chroma * tf.clip_by_value(tf.minimum(place, 4 - place), 0.0, 1.0)

    return tf.stack([channel(5.0), channel(3.0), channel(1.0)], axis=-1)
