"""Geometric operations on one uint8 image.

Each function takes and returns `[height, width, channels]` uint8. It interpolates by the nearest
pixel and fills positions from outside the image with gray (128). Other arguments are scalars or
scalar tensors.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

_FILL = 128


def shear_x(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Shifts row y to the left by `slope` times y."""
    return _affine(image, (1.0, slope, 0.0), (0.0, 1.0, 0.0))


def shear_y(image: tf.Tensor, slope: tf.Tensor | float) -> tf.Tensor:
    """Shifts column x up by `slope` times x."""
    return _affine(image, (1.0, 0.0, 0.0), (slope, 1.0, 0.0))


def translate_x(image: tf.Tensor, pixels: tf.Tensor | float) -> tf.Tensor:
    """Shifts the image to the left."""
    return _affine(image, (1.0, 0.0, pixels), (0.0, 1.0, 0.0))


def translate_y(image: tf.Tensor, pixels: tf.Tensor | float) -> tf.Tensor:
    """Shifts the image up."""
    return _affine(image, (1.0, 0.0, 0.0), (0.0, 1.0, pixels))


def rotate(image: tf.Tensor, degrees: tf.Tensor | float) -> tf.Tensor:
    """Rotates the image counterclockwise about its center."""
    height, width, _ = image.shape
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    angle = degrees * (math.pi / 180)
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _affine(
        image,
        (cos, -sin, center_x - cos * center_x + sin * center_y),
        (sin, cos, center_y - sin * center_x - cos * center_y),
    )


def cutout(
    image: tf.Tensor, half_side: tf.Tensor | int, row: tf.Tensor, column: tf.Tensor
) -> tf.Tensor:
    """Fills a square with gray, clipped to the image.

    Args:
        image: `[height, width, channels]` uint8.
        half_side: half the side of the square in pixels.
        row: row of its center, as a fraction of the height in [0, 1).
        column: column of its center, as a fraction of the width in [0, 1).
    """
    height, width, _ = image.shape

    def within(center: tf.Tensor, size: int) -> tf.Tensor:
        first = tf.cast(center * size, tf.int32) - half_side
        positions = tf.range(size)
        return (positions >= first) & (positions < first + 2 * half_side)

    square = within(row, height)[:, None, None] & within(column, width)[None, :, None]
    return tf.where(square, tf.constant(_FILL, tf.uint8), image)


def _affine(
    image: tf.Tensor, to_x: Sequence[tf.Tensor | float], to_y: Sequence[tf.Tensor | float]
) -> tf.Tensor:
    """Computes pixel (x, y) of the result from pixel (a x + b y + c, d x + e y + f) of the image.

    Args:
        image: `[height, width, channels]` uint8.
        to_x: a, b and c.
        to_y: d, e and f.
    """
    height, width, channels = image.shape
    x = tf.range(width, dtype=tf.float32)[None, :]
    y = tf.range(height, dtype=tf.float32)[:, None]
    column = tf.floor(to_x[0] * x + to_x[1] * y + to_x[2] + 0.5)
    row = tf.floor(to_y[0] * x + to_y[1] * y + to_y[2] + 0.5)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    # Clip before the cast: positions far outside can exceed the range of integers.
    column, row = tf.clip_by_value(column, 0, width - 1), tf.clip_by_value(row, 0, height - 1)
    positions = tf.cast(row, tf.int32) * width + tf.cast(column, tf.int32)
    moved = tf.gather(tf.reshape(image, [-1, channels]), positions)
    return tf.where(inside[..., None], moved, tf.constant(_FILL, tf.uint8))
