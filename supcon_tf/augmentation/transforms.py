"""Random image transforms as pure functions of a batch and of numbers drawn beforehand.

A transform gets its randomness as `draws`, numbers uniform in [0, 1), one row per image. Whoever
calls it decides what the draws depend on, so that a view can be a function of the seed, the epoch
and the image alone, whatever the batch it is made in; and a whole batch is transformed at once.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and tf.image


class Transform(Protocol):
    """A random transform of a batch of images."""

    @property
    def num_draws(self) -> int:
        """How many uniform numbers one image needs."""

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms images.

        Args:
            images: `[batch, height, width, channels]` float32 in [0, 1].
            draws: `[batch, num_draws]` float32, uniform in [0, 1).

        Returns:
            Images of the same rank, dtype and range.
        """


@dataclasses.dataclass(frozen=True)
class Compose:
    """Applies transforms one after another; each gets its own part of the draws."""

    transforms: Sequence[Transform]

    @property
    def num_draws(self) -> int:
        """The sum over the transforms."""
        return sum(transform.num_draws for transform in self.transforms)

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Transforms `[batch, height, width, channels]` images."""
        parts = tf.split(draws, [transform.num_draws for transform in self.transforms], axis=1)
        for transform, part in zip(self.transforms, parts, strict=True):
            images = transform(images, part)
        return images


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Cuts out a random rectangle and resizes it bilinearly to a square.

    Area and logarithm of the aspect ratio are uniform. A side that would exceed the image is
    clipped to it (torchvision draws again instead).

    Args:
        size: side of the result in pixels.
        area: smallest and largest fraction of the image's area.
        aspect: smallest and largest width / height.
    """

    size: int
    area: tuple[float, float] = (0.2, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    num_draws = 4

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Crops `[batch, height, width, channels]` images to `[batch, size, size, channels]`."""
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
        return tf.image.crop_and_resize(
            images, boxes, tf.range(tf.shape(images)[0]), [self.size, self.size]
        )


@dataclasses.dataclass(frozen=True)
class RandomHorizontalFlip:
    """Mirrors an image left to right.

    Args:
        probability: how often.
    """

    probability: float = 0.5

    num_draws = 1

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Flips some of `[batch, height, width, channels]` images."""
        return _sometimes(draws[:, 0], self.probability, tf.reverse(images, axis=[2]), images)


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """Changes brightness, contrast, saturation and hue, in this order.

    The factors of the first three are uniform in `[1 - strength, 1 + strength]`; the hue is turned
    by a fraction of the colour circle uniform in `[-hue, hue]`. Images of one channel have neither
    saturation nor hue.

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

    num_draws = 5

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes some of `[batch, height, width, channels]` images."""
        jittered = _blend(images, 0.0, _factor(draws[:, 0], self.brightness))
        mean_grey = tf.reduce_mean(_grey(jittered), axis=[1, 2], keepdims=True)
        jittered = _blend(jittered, mean_grey, _factor(draws[:, 1], self.contrast))
        if images.shape[-1] == 3:
            jittered = _blend(jittered, _grey(jittered), _factor(draws[:, 2], self.saturation))
            turn = _between(draws[:, 3], -self.hue, self.hue)[:, None, None]
            hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(jittered), axis=-1)
            hue = tf.math.floormod(hue + turn, 1.0)
            jittered = tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))
        return _sometimes(draws[:, 4], self.probability, jittered, images)


@dataclasses.dataclass(frozen=True)
class RandomGrayscale:
    """Takes the colour out of an image, keeping its channels.

    Args:
        probability: how often.
    """

    probability: float = 0.2

    num_draws = 1

    def __call__(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Greys some of `[batch, height, width, channels]` images."""
        if images.shape[-1] == 1:
            return images
        grey = tf.broadcast_to(_grey(images), tf.shape(images))
        return _sometimes(draws[:, 0], self.probability, grey, images)


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + draw * (high - low)


def _factor(draw: tf.Tensor, strength: float) -> tf.Tensor:
    factor = _between(draw, max(0.0, 1 - strength), 1 + strength)
    return factor[:, None, None, None]


def _blend(images: tf.Tensor, other: tf.Tensor | float, factor: tf.Tensor) -> tf.Tensor:
    """`other` at factor 0, `images` at 1, beyond them above 1; kept in [0, 1]."""
    return tf.clip_by_value(other + (images - other) * factor, 0.0, 1.0)


def _grey(images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(_LUMA), axis=-1, keepdims=True)


def _sometimes(
    draw: tf.Tensor, probability: float, changed: tf.Tensor, images: tf.Tensor
) -> tf.Tensor:
    return tf.where((draw < probability)[:, None, None, None], changed, images)
