"""Random changes of color: jitter and grayscale."""

import dataclasses
import functools
import itertools

import tensorflow as tf

from supcon_tf._checks import check_choice, check_non_negative, check_probability
from supcon_tf.augmentation.base import ImageTransform, for_loop

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and tf.image


@dataclasses.dataclass(frozen=True)
class ColorJitter(ImageTransform):
    """Changes brightness, contrast, saturation and hue, in a random order for each image.

    Factors are uniform in `[1 - strength, 1 + strength]`. The hue is rotated by a fraction of the
    color circle that is uniform in `[-hue, hue]`. Images without three channels have neither
    saturation nor hue. Two definitions exist:

    - `"torchvision"`: all three strengths are factors. The image is blended with black, with its
      mean gray, and with its own grayscale version.
    - `"tensorflow"`: the functions of `tf.image`, as in the official SupCon code for ImageNet. A
      number uniform in `[-brightness, brightness]` is added to all pixels, each channel is blended
      with its own mean, and the saturation of HSV is multiplied by its factor.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.ColorJitter(brightness=0.8, hue=0.2).num_draws
        6

    Args:
        brightness: strength of the change of brightness.
        contrast: strength of the change of contrast.
        saturation: strength of the change of saturation.
        hue: largest rotation of the hue, at most 0.5.
        probability: probability that an image is changed.
        definition: `"torchvision"` or `"tensorflow"`.

    Raises:
        ValueError: if `definition` is neither `"torchvision"` nor `"tensorflow"`, a strength is
            negative, or `probability` is not between 0 and 1.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    probability: float = 0.8
    definition: str = "torchvision"

    num_draws = 6  # one for each of four changes, one for the probability, one for the order

    def __post_init__(self) -> None:
        check_choice("definition", self.definition, ("torchvision", "tensorflow"))
        for argument in ("brightness", "contrast", "saturation", "hue"):
            check_non_negative(argument, getattr(self, argument))
        check_probability("probability", self.probability)

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes a `[height, width, channels]` image with the given probability."""
        contrast, saturation = _factor(draws[1], self.contrast), _factor(draws[2], self.saturation)
        if self.definition == "torchvision":
            brightness = _factor(draws[0], self.brightness)
            changes = [
                lambda image: _blend(image, 0.0, brightness),
                lambda image: _blend(image, tf.reduce_mean(_to_gray(image)), contrast),
                lambda image: _blend(image, _to_gray(image), saturation),
            ]
        else:
            delta = _interpolate(draws[0], -self.brightness, self.brightness)
            changes = [
                lambda image: tf.clip_by_value(image + delta, 0.0, 1.0),
                lambda image: _blend(image, tf.reduce_mean(image, axis=[0, 1]), contrast),
                lambda image: _saturate(image, saturation),
            ]
        rotation = _interpolate(draws[3], -self.hue, self.hue)
        changes.append(lambda image: _rotate_hue(image, rotation))
        if image.shape[-1] != 3:
            changes = changes[:2]
        orders = list(itertools.permutations(range(len(changes))))
        order = tf.gather(orders, tf.cast(draws[5] * len(orders), tf.int32))

        def change(step: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
            return tf.switch_case(
                order[step], [functools.partial(function, image) for function in changes]
            )

        def jitter() -> tf.Tensor:
            return for_loop(len(changes), change, image)

        return tf.cond(draws[4] < self.probability, jitter, lambda: image)


@dataclasses.dataclass(frozen=True)
class RandomGrayscale(ImageTransform):
    """Converts an image to grayscale and keeps its number of channels.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomGrayscale(probability=0.2).num_draws
        1

    Args:
        probability: probability that an image is converted.

    Raises:
        ValueError: if `probability` is not between 0 and 1.
    """

    probability: float = 0.2

    num_draws = 1
    channels = (1, 3)

    def __post_init__(self) -> None:
        check_probability("probability", self.probability)

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Converts a `[height, width, channels]` image with the given probability."""
        return tf.cond(
            draws[0] < self.probability,
            lambda: tf.broadcast_to(_to_gray(image), image.shape),
            lambda: image,
        )


def _interpolate(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + draw * (high - low)


def _factor(draw: tf.Tensor, strength: float) -> tf.Tensor:
    return _interpolate(draw, max(0.0, 1 - strength), 1 + strength)


def _blend(image: tf.Tensor, other: tf.Tensor | float, factor: tf.Tensor) -> tf.Tensor:
    """Returns `other` at factor 0, `image` at 1, an extrapolation above 1, clipped to [0, 1]."""
    return tf.clip_by_value(other + (image - other) * factor, 0.0, 1.0)


def _to_gray(image: tf.Tensor) -> tf.Tensor:
    """Returns the luma of RGB images, and the mean of any other channels."""
    if image.shape[-1] != 3:
        return tf.reduce_mean(image, axis=-1, keepdims=True)
    channels = tf.unstack(image, axis=-1)
    return sum(weight * x for weight, x in zip(_LUMA, channels, strict=True))[..., None]


def _saturate(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the saturation of HSV, which is the chroma over the value, clipped to 1."""
    value = tf.reduce_max(image, axis=-1, keepdims=True)
    chroma = value - tf.reduce_min(image, axis=-1, keepdims=True)
    # Without chroma the factor has no effect; 1 avoids the division by 0.
    largest_factor = tf.where(chroma > 0, value / chroma, 1.0)
    return value - (value - image) * tf.minimum(factor, largest_factor)


def _rotate_hue(image: tf.Tensor, rotation: tf.Tensor) -> tf.Tensor:
    """Rotates the hue of HSV and keeps saturation and value.

    In HSV, each channel is the value minus the chroma times a trapezoidal function of the hue. This
    function is the same for red, green and blue except for a shift.
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
        position = sextant + 6 * rotation + shift
        position -= 6 * tf.floor(position / 6)
        return value - chroma * tf.clip_by_value(tf.minimum(position, 4 - position), 0.0, 1.0)

    return tf.stack([channel(5.0), channel(3.0), channel(1.0)], axis=-1)
