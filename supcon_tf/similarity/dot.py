"""Inner products of the rows of a tile, as precise as one says and no less.

`tf.matmul` leaves the precision to the device: a TPU rounds float32 factors to bfloat16 and recent
GPUs round them to TensorFloat-32. At a temperature of 0.01 that moves a logit by 0.1. XLA's own dot
takes the precision as an argument, so the compiled tiles use it.
"""

import tensorflow as tf

from supcon_tf._tensorflow_internals import xla_dot


def dot(
    left: tf.Tensor, right: tf.Tensor, axes: tuple[int, int], product_dtype: str | None
) -> tf.Tensor:
    """Sums the products of two matrices over one axis of each.

    Args:
        left: floating point matrix.
        right: matrix of the same dtype.
        axes: the axis of `left` and the axis of `right` to sum over.
        product_dtype: `"bfloat16"` to round the factors before they are multiplied; sums keep the
            dtype of `left`. `None` rounds nothing, on any device.

    Returns:
        Matrix of the remaining axis of `left` times the remaining axis of `right`.
    """
    dtype = left.dtype
    if product_dtype is not None:
        left, right = tf.cast(left, product_dtype), tf.cast(right, product_dtype)
    if tf.executing_eagerly():  # outside XLA; the product of two bfloat16 is exact in float32
        return tf.tensordot(tf.cast(left, dtype), tf.cast(right, dtype), axes)
    return xla_dot(left, right, axes, dtype)


@tf.custom_gradient
def inner_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Multiplies every row of one matrix with every row of another, rounding no factors.

    Args:
        left: `[rows, dim]` floating point matrix.
        right: `[columns, dim]` matrix of the same dtype.

    Returns:
        `[rows, columns]` inner products, differentiable as often as one likes.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_left = inner_products(upstream, tf.transpose(right))
        return of_left, inner_products(tf.transpose(upstream), tf.transpose(left))

    # XLA's dot has no gradient of its own, which TensorFlow would look for here.
    return _inner_products(tf.stop_gradient(left), tf.stop_gradient(right)), gradient


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _inner_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return dot(left, right, (1, 1), None)
