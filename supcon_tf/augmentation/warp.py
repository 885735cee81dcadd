"""Smooth random distortion of some images."""

import dataclasses

import tensorflow as tf

from supcon_tf.augmentation.base import ImageTransform


@dataclasses.dataclass(frozen=True)
class RandomWarp(ImageTransform):
    """Displaces four control points at random and the image between them smoothly.

    The control points lie at the thirds of the image; each coordinate moves by a normal number
    times a length, uniform between 0 and `most`, that the points of an image share. A thin-plate
    spline through the four displacements says where each pixel comes from; it is interpolated
    bilinearly, and beyond the border the border's pixels go on.

    Examples:
        >>> from supcon_tf import augmentation
        >>> augmentation.RandomWarp(3.0, probability=0.5).num_draws
        10

    Args:
        most: largest length in pixels.
        probability: how often.
    """

    most: float
    probability: float

    num_draws = 10  # whether to warp, the length, two coordinates of four points

    def transform(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Warps a `[height, width, channels]` image or not."""
        return tf.cond(
            draws[0] < self.probability, lambda: self._warp(image, draws[1:]), lambda: image
        )

    def _warp(self, image: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        height, width, _ = image.shape
        tiny = 2.0**-24  # the normal quantile of 0 is infinite
        normal = tf.math.ndtri(tf.clip_by_value(tf.reshape(draws[1:], [4, 2]), tiny, 1 - tiny))
        moves = draws[0] * self.most * normal
        thirds = [[i * height / 3, j * width / 3] for i in (1, 2) for j in (1, 2)]
        targets = tf.constant(thirds) + moves
        rows, columns = tf.meshgrid(
            tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij"
        )
        pixels = tf.stack([rows, columns], axis=-1)
        return _bilinear(image, pixels - _thin_plate_spline(targets, moves, pixels))


def _thin_plate_spline(points: tf.Tensor, values: tf.Tensor, queries: tf.Tensor) -> tf.Tensor:
    """Interpolates `[n, 2]` values at `[n, 2]` points, at `[height, width, 2]` queries."""
    n = points.shape[0]
    affine = tf.concat([points, tf.ones([n, 1])], axis=1)
    system = tf.concat(
        [
            tf.concat([_radial(points, points), affine], axis=1),
            tf.concat([tf.transpose(affine), tf.zeros([3, 3])], axis=1),
        ],
        axis=0,
    )
    weights = tf.linalg.solve(system, tf.concat([values, tf.zeros([3, 2])], axis=0))
    linear = queries @ weights[n : n + 2] + weights[-1]
    return linear + _radial(queries, points) @ weights[:n]


def _radial(places: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    squared = tf.reduce_sum((places[..., None, :] - points) ** 2, axis=-1)
    return 0.5 * squared * tf.math.log(tf.maximum(squared, 1e-10))


def _bilinear(image: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Reads an image at `[height, width, 2]` rows and columns between its pixels."""
    height, width, channels = image.shape
    row = tf.clip_by_value(places[..., 0], 0.0, height - 1.0)
    column = tf.clip_by_value(places[..., 1], 0.0, width - 1.0)
    top, left = tf.floor(row), tf.floor(column)
    flat = tf.reshape(image, [-1, channels])

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        row = tf.minimum(tf.cast(row, tf.int32), height - 1)
        column = tf.minimum(tf.cast(column, tf.int32), width - 1)
        return tf.gather(flat, row * width + column)

    down, right = (row - top)[..., None], (column - left)[..., None]
    above = read(top, left) * (1 - right) + read(top, left + 1) * right
    below = read(top + 1, left) * (1 - right) + read(top + 1, left + 1) * right
    return above * (1 - down) + below * down
