"""Random windows inside an image, to crop or to erase, with rejection of those that do not fit.

All numbers are float64. In float32, rounding could depend on the batch and shift a window by a
pixel.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Range = tuple[float, float]  # smallest and largest value
MIN_COVERED = 0.1  # `min_object_covered` of tf.image, where the object is the whole image


class _Definition(NamedTuple):
    """Distribution of windows, each of which is top, left, height and width.

    Attributes:
        draw: function of uniform numbers `[windows, 4]`, the image's height and width, `scale` and
            `ratio`. Returns windows `[windows, 4]` and whether each is accepted, `[windows]`.
        fallback: function of height, width and `ratio`. Returns the window `[4]` that is used if no
            attempt is accepted.
        attempts: largest number of attempts.
    """

    draw: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Range, Range], tuple[tf.Tensor, tf.Tensor]]
    fallback: Callable[[tf.Tensor, tf.Tensor, Range], tf.Tensor]
    attempts: int


@tf.function(jit_compile=True, autograph=False)
def draw_windows(
    draws: tf.Tensor, height: tf.Tensor, width: tf.Tensor, scale: Range, ratio: Range, name: str
) -> tf.Tensor:
    """Draws windows of whole pixels inside an image.

    Each window is a function of its own draws only.

    Args:
        draws: `[windows, 4]` float32, uniform in [0, 1).
        height: height of the image in pixels.
        width: width of the image in pixels.
        scale: smallest and largest area, as fractions of the image's area.
        ratio: smallest and largest aspect ratio, width / height, or height / width for `"erasing"`.
        name: key of `DEFINITIONS`.

    Returns:
        `[windows, 4]` int32: top, left, height and width.
    """
    definition = DEFINITIONS[name]
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)

    def attempt(
        number: tf.Tensor, missing: tf.Tensor, windows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        numbers = tf.cast(_redraw(draws, number), tf.float64)
        drawn, accepted = definition.draw(numbers, height, width, scale, ratio)
        windows = tf.where((missing & accepted)[:, None], drawn, windows)
        return number + 1, missing & ~accepted, windows

    size = tf.shape(draws)[0]
    fallback = tf.tile(definition.fallback(height, width, ratio)[None], [size, 1])
    _, _, windows = tf.while_loop(
        lambda number, missing, windows: tf.reduce_any(missing),
        attempt,
        (0, tf.fill([size], True), fallback),
        maximum_iterations=definition.attempts,
    )
    return tf.cast(windows, tf.int32)


def _redraw(draws: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Returns the draws of an attempt: the given draws for number 0, pseudorandom ones for others.

    A new draw is output `number` of SplitMix32 with the bits of the given draw as its seed, with
    the mixing function "lowbias32" of https://nullprogram.com/blog/2018/07/31/.
    """
    golden, first, second = (
        tf.constant(value, tf.uint32) for value in (0x9E3779B9, 0x7FEB352D, 0x846CA68B)
    )
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    bits = tf.bitcast(draws, tf.uint32) + tf.cast(number, tf.uint32) * golden
    bits = xor(bits, shift(bits, tf.constant(16, tf.uint32))) * first
    bits = xor(bits, shift(bits, tf.constant(15, tf.uint32))) * second
    bits = xor(bits, shift(bits, tf.constant(16, tf.uint32)))
    # The upper 23 bits, which float32 represents exactly.
    again = tf.cast(shift(bits, tf.constant(9, tf.uint32)), tf.float32) * 2.0**-23
    return tf.where(number == 0, draws, again)


def _draw_area(
    draws: tf.Tensor,
    image_height: tf.Tensor,
    image_width: tf.Tensor,
    scale: Range,
    ratio: Range,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes one attempt of torchvision's `RandomResizedCrop`."""
    scale_draw, ratio_draw, top_draw, left_draw = tf.unstack(draws, axis=1)
    pixels = _interpolate(scale_draw, scale) * image_height * image_width
    aspect = tf.exp(_interpolate(ratio_draw, (math.log(ratio[0]), math.log(ratio[1]))))
    height, width = tf.round(tf.sqrt(pixels / aspect)), tf.round(tf.sqrt(pixels * aspect))
    top = tf.floor(top_draw * (image_height - height + 1))
    left = tf.floor(left_draw * (image_width - width + 1))
    fits = (height > 0) & (height <= image_height) & (width > 0) & (width <= image_width)
    return tf.stack([top, left, height, width], axis=1), fits


def _central_window(image_height: tf.Tensor, image_width: tf.Tensor, ratio: Range) -> tf.Tensor:
    height = tf.clip_by_value(tf.round(image_width / ratio[0]), 1.0, image_height)
    width = tf.clip_by_value(tf.round(image_height * ratio[1]), 1.0, image_width)
    top, left = (image_height - height) // 2, (image_width - width) // 2
    return tf.stack([top, left, height, width])


def _draw_erased_area(
    draws: tf.Tensor,
    image_height: tf.Tensor,
    image_width: tf.Tensor,
    scale: Range,
    ratio: Range,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes one attempt of torchvision's `RandomErasing`, whose ratio is height / width."""
    inverse = (1 / ratio[1], 1 / ratio[0])
    windows, _ = _draw_area(draws, image_height, image_width, scale, inverse)
    fits = (windows[:, 2] < image_height) & (windows[:, 3] < image_width)
    return windows, fits


def _no_window(image_height: tf.Tensor, image_width: tf.Tensor, ratio: Range) -> tf.Tensor:
    return tf.zeros([4], tf.float64)


def _draw_height(
    draws: tf.Tensor,
    image_height: tf.Tensor,
    image_width: tf.Tensor,
    scale: Range,
    ratio: Range,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes one attempt of TensorFlow's `sample_distorted_bounding_box_op.cc`."""
    height_draw, ratio_draw, top_draw, left_draw = tf.unstack(draws, axis=1)
    image_pixels = image_height * image_width
    min_pixels, max_pixels = scale[0] * image_pixels, scale[1] * image_pixels
    aspect = _interpolate(ratio_draw, ratio)
    # The largest height whose width, with half a pixel rounded down, does not exceed the image.
    max_height = tf.floor((image_width + 0.5 - 1e-7) / aspect)
    max_height = tf.minimum(
        tf.round(tf.sqrt(max_pixels / aspect)), tf.minimum(max_height, image_height)
    )
    min_height = tf.minimum(tf.round(tf.sqrt(min_pixels / aspect)), max_height)
    height = min_height + tf.floor(height_draw * (max_height - min_height + 1))
    # After rounding, the area can be out of range by less than a row.
    height += tf.cast(height * tf.round(height * aspect) < min_pixels, tf.float64)
    height -= tf.cast(height * tf.round(height * aspect) > max_pixels, tf.float64)
    width = tf.round(height * aspect)
    # As in the operation, the last offset is never drawn unless it is 0.
    top = tf.floor(top_draw * (image_height - height))
    left = tf.floor(left_draw * (image_width - width))
    pixels = height * width
    accepted = (pixels >= tf.maximum(min_pixels, MIN_COVERED * image_pixels)) & (
        pixels <= max_pixels
    )
    accepted &= (height > 0) & (height <= image_height) & (width > 0) & (width <= image_width)
    windows = tf.stack([top, left, height, width], axis=1)
    # The operation returns the whole image when it fails, and its callers then take the central
    # square. They do the same if the whole image is drawn.
    whole = (height == image_height) & (width == image_width)
    square = _central_square(image_height, image_width, ratio)
    return tf.where(whole[:, None], square, windows), accepted


def _central_square(image_height: tf.Tensor, image_width: tf.Tensor, ratio: Range) -> tf.Tensor:
    side = tf.minimum(image_height, image_width)
    top, left = (image_height - side + 1) // 2, (image_width - side + 1) // 2
    return tf.stack([top, left, side, side])


def _interpolate(draw: tf.Tensor, limits: Range) -> tf.Tensor:
    return limits[0] + draw * (limits[1] - limits[0])


CROPS = {
    "torchvision": _Definition(_draw_area, _central_window, attempts=10),
    "tensorflow": _Definition(_draw_height, _central_square, attempts=100),
}
DEFINITIONS = {**CROPS, "erasing": _Definition(_draw_erased_area, _no_window, attempts=10)}
