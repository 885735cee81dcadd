"""Random rectangles inside of an image, which are drawn again where they do not fit.

Numbers are float64: an image's rectangle must not change by a pixel where another batch rounds a
float32 otherwise.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

# Both fractions are relative to the image: smallest and largest.
Range = tuple[float, float]
LEAST_COVERED = 0.1  # `min_object_covered` of tf.image, the object being the whole image


class _Definition(NamedTuple):
    """How rectangles `[..., 4]` are drawn: top, left, height and width.

    Attributes:
        draw: takes uniform numbers `[rectangles, 4]`, the image's height and width and the ranges
            of area and aspect ratio; returns rectangles and which of them are accepted.
        fallback: takes height, width and the range of aspect ratio; returns the rectangle, `[4]`,
            where none was accepted.
        attempts: how often to draw.
    """

    draw: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Range, Range], tuple[tf.Tensor, tf.Tensor]]
    fallback: Callable[[tf.Tensor, tf.Tensor, Range], tf.Tensor]
    attempts: int


@tf.function(jit_compile=True, autograph=False)
def draw_windows(
    draws: tf.Tensor, height: tf.Tensor, width: tf.Tensor, area: Range, aspect: Range, name: str
) -> tf.Tensor:
    """Draws rectangles of whole pixels inside of an image.

    Each is a function of its own draws alone.

    Args:
        draws: `[rectangles, 4]` float32, uniform in [0, 1).
        height: of the image in pixels.
        width: of the image in pixels.
        area: smallest and largest fraction of the image's area.
        aspect: smallest and largest width / height.
        name: of the definition.

    Returns:
        `[rectangles, 4]` int32: top, left, height and width.
    """
    definition = DEFINITIONS[name]
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)

    def attempt(
        number: tf.Tensor, missing: tf.Tensor, windows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        numbers = tf.cast(_redraw(draws, number), tf.float64)
        drawn, accepted = definition.draw(numbers, height, width, area, aspect)
        windows = tf.where((missing & accepted)[:, None], drawn, windows)
        return number + 1, missing & ~accepted, windows

    rectangles = tf.shape(draws)[0]
    fallback = tf.tile(definition.fallback(height, width, aspect)[None], [rectangles, 1])
    _, _, windows = tf.while_loop(
        lambda number, missing, windows: tf.reduce_any(missing),
        attempt,
        (0, tf.fill([rectangles], True), fallback),
        maximum_iterations=definition.attempts,
    )
    return tf.cast(windows, tf.int32)


def _redraw(draws: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """The draws themselves for number 0, and for others as many that are as good as independent.

    Each is SplitMix32's output of this number for the draw's bits as its seed, with the mixing
    function "lowbias32" of https://nullprogram.com/blog/2018/07/31/.
    """
    golden, first, second = (
        tf.constant(value, tf.uint32) for value in (0x9E3779B9, 0x7FEB352D, 0x846CA68B)
    )
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    bits = tf.bitcast(draws, tf.uint32) + tf.cast(number, tf.uint32) * golden
    bits = xor(bits, shift(bits, tf.constant(16, tf.uint32))) * first
    bits = xor(bits, shift(bits, tf.constant(15, tf.uint32))) * second
    bits = xor(bits, shift(bits, tf.constant(16, tf.uint32)))
    # The upper 23 bits, which float32 holds with all of their products by a number of pixels.
    again = tf.cast(shift(bits, tf.constant(9, tf.uint32)), tf.float32) * 2.0**-23
    return tf.where(number == 0, draws, again)


def _draw_area(
    draws: tf.Tensor,
    image_height: tf.Tensor,
    image_width: tf.Tensor,
    area: Range,
    aspect: Range,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One attempt of torchvision's `RandomResizedCrop`."""
    area_draw, aspect_draw, top_draw, left_draw = tf.unstack(draws, axis=1)
    pixels = _between(area_draw, area) * image_height * image_width
    ratio = tf.exp(_between(aspect_draw, (math.log(aspect[0]), math.log(aspect[1]))))
    height, width = tf.round(tf.sqrt(pixels / ratio)), tf.round(tf.sqrt(pixels * ratio))
    top = tf.floor(top_draw * (image_height - height + 1))
    left = tf.floor(left_draw * (image_width - width + 1))
    fits = (height > 0) & (height <= image_height) & (width > 0) & (width <= image_width)
    return tf.stack([top, left, height, width], axis=1), fits


def _central_rectangle(image_height: tf.Tensor, image_width: tf.Tensor, aspect: Range) -> tf.Tensor:
    height = tf.clip_by_value(tf.round(image_width / aspect[0]), 1.0, image_height)
    width = tf.clip_by_value(tf.round(image_height * aspect[1]), 1.0, image_width)
    top, left = (image_height - height) // 2, (image_width - width) // 2
    return tf.stack([top, left, height, width])


def _draw_height(
    draws: tf.Tensor,
    image_height: tf.Tensor,
    image_width: tf.Tensor,
    area: Range,
    aspect: Range,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One attempt of TensorFlow's `sample_distorted_bounding_box_op.cc`."""
    height_draw, aspect_draw, top_draw, left_draw = tf.unstack(draws, axis=1)
    image_pixels = image_height * image_width
    least, most = area[0] * image_pixels, area[1] * image_pixels
    ratio = _between(aspect_draw, aspect)
    # The greatest height whose width, half a pixel rounded down, does not exceed the image.
    highest = tf.floor((image_width + 0.5 - 1e-7) / ratio)
    highest = tf.minimum(tf.round(tf.sqrt(most / ratio)), tf.minimum(highest, image_height))
    lowest = tf.minimum(tf.round(tf.sqrt(least / ratio)), highest)
    height = lowest + tf.floor(height_draw * (highest - lowest + 1))
    # Rounding may have left the range of areas by less than a row.
    height += tf.cast(height * tf.round(height * ratio) < least, tf.float64)
    height -= tf.cast(height * tf.round(height * ratio) > most, tf.float64)
    width = tf.round(height * ratio)
    # The last row and column are never reached, unless the rectangle is as large as the image.
    top = tf.floor(top_draw * (image_height - height))
    left = tf.floor(left_draw * (image_width - width))
    pixels = height * width
    accepted = (pixels >= tf.maximum(least, LEAST_COVERED * image_pixels)) & (pixels <= most)
    accepted &= (height > 0) & (height <= image_height) & (width > 0) & (width <= image_width)
    windows = tf.stack([top, left, height, width], axis=1)
    # The whole image is what the operation gives where it fails, so its callers take it for that.
    whole = (height == image_height) & (width == image_width)
    square = _central_square(image_height, image_width, aspect)
    return tf.where(whole[:, None], square, windows), accepted


def _central_square(image_height: tf.Tensor, image_width: tf.Tensor, aspect: Range) -> tf.Tensor:
    side = tf.minimum(image_height, image_width)
    top, left = (image_height - side + 1) // 2, (image_width - side + 1) // 2
    return tf.stack([top, left, side, side])


def _between(draw: tf.Tensor, limits: Range) -> tf.Tensor:
    return limits[0] + draw * (limits[1] - limits[0])


DEFINITIONS = {
    "torchvision": _Definition(_draw_area, _central_rectangle, attempts=10),
    "tensorflow": _Definition(_draw_height, _central_square, attempts=100),
}
