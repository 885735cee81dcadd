"""The transforms that most policies share after the crop: flip, color jitter and grayscale."""

import dataclasses
import functools
import itertools

import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.augmentation.base import ImageTransform, in_turn

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and tf.image


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

    Factors are uniform in `[1 - strength, 1 + strength]`; the hue is turned by a fraction of the
    color circle uniform in `[-hue, hue]`. Images of one channel have neither saturation nor hue.
    There are two definitions:

    - `"torchvision"`: three factors. The image is blended with black, with its mean gray, and with
      its own gray.
    - `"tensorflow"`: the functions of `tf.image`, as the official SupCon code has them on ImageNet.
      A number uniform in `[-brightness, brightness]` is added to all pixels; each channel is
      blended with its own mean; the saturation of HSV is multiplied.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.ColorJitter(brightness=0.8, hue=0.2).num_draws
        6

    Args:
        brightness: strength of the change of brightness.
        contrast: strength of the change of contrast.
        saturation: strength of the change of saturation.
        hue: largest turn, at most 0.5.
        probability: how often an image is changed at all.
        definition: `"torchvision"` or `"tensorflow"`.

    Raises:
        ValueError: if `definition` is not one of the above.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    probability: float = 0.8
    definition: str = "torchvision"

    num_draws = 6  # one per change, whether to change at all, the order

    def __post_init__(self) -> None:
        check_choice("definition", self.definition, ("torchvision", "tensorflow"))

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes a `[height, width, channels]` image or not."""
        contrast, saturation = _factor(draws[1], self.contrast), _factor(draws[2], self.saturation)
        if self.definition == "torchvision":
            brightness = _factor(draws[0], self.brightness)
            changes = [
                lambda image: _blend(image, 0.0, brightness),
                lambda image: _blend(image, tf.reduce_mean(_gray(image)), contrast),
                lambda image: _blend(image, _gray(image), saturation),
            ]
        else:
            delta = _between(draws[0], -self.brightness, self.brightness)
            changes = [
                lambda image: tf.clip_by_value(image + delta, 0.0, 1.0),
                lambda image: _blend(image, tf.reduce_mean(image, axis=[0, 1]), contrast),
                lambda image: _saturate(image, saturation),
            ]
        changes.append(lambda image: _turn_hue(image, _between(draws[3], -self.hue, self.hue)))
        if image.shape[-1] == 1:
            changes = changes[:2]
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
    """Takes the color out of an image, keeping its channels.

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
        """Grays a `[height, width, channels]` image or not."""
        return tf.cond(
            draws[0] < self.probability,
            lambda: tf.broadcast_to(_gray(image), image.shape),
            lambda: image,
        )


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + draw * (high - low)


def _factor(draw: tf.Tensor, strength: float) -> tf.Tensor:
    return _between(draw, max(0.0, 1 - strength), 1 + strength)


def _blend(image: tf.Tensor, other: tf.Tensor | float, factor: tf.Tensor) -> tf.Tensor:
    """`other` at factor 0, `image` at 1, beyond them above 1; kept in [0, 1]."""
    return tf.clip_by_value(other + (image - other) * factor, 0.0, 1.0)


def _gray(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] == 1:
        return image
    channels = tf.unstack(image, axis=-1)
    return sum(weight * x for weight, x in zip(_LUMA, channels, strict=True))[..., None]


def _saturate(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the saturation of HSV, the chroma over the value, up to 1."""
    value = tf.reduce_max(image, axis=-1, keepdims=True)
    chroma = value - tf.reduce_min(image, axis=-1, keepdims=True)
    most = tf.where(chroma > 0, value / chroma, 1.0)  # of no effect where there is no chroma
    return value - (value - image) * tf.minimum(factor, most)


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
