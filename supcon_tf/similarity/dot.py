"""Matrix products of a given precision.

`tf.matmul` leaves the precision to the device: TPUs round float32 factors to bfloat16, and recent
GPUs to TensorFloat-32. At a temperature of 0.01 this changes logits by 0.1. The dot of XLA takes
the precision as an argument.
"""

import tensorflow as tf

from supcon_tf._tensorflow_internals import xla_dot


def dot(
    left: tf.Tensor, right: tf.Tensor, axes: tuple[int, int], product_dtype: str | None
) -> tf.Tensor:
    """Contracts one axis of each of two matrices.

    Args:
        left: floating point matrix.
        right: matrix of the same dtype.
        axes: the axis of `left` and the axis of `right` to sum over.
        product_dtype: `"bfloat16"` to round the factors before the multiplication; sums keep the
            dtype of `left`. `None` does not round, on any device.

    Returns:
        A matrix of the remaining axis of `left` and the remaining axis of `right`.
    """
    dtype = left.dtype
    if product_dtype is not None:
        left, right = tf.cast(left, product_dtype), tf.cast(right, product_dtype)
    if tf.executing_eagerly():  # Outside XLA, by tf.config.run_functions_eagerly.
        # No device rounds the factors of float64.
        left, right = tf.cast(left, tf.float64), tf.cast(right, tf.float64)
        return tf.cast(tf.tensordot(left, right, axes), dtype)
    return xla_dot(left, right, axes, dtype)


@tf.custom_gradient
def inner_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Computes the inner products of the rows of two matrices, without rounding the factors.

    Args:
        left: `[rows, dim]` floating point matrix.
        right: `[columns, dim]` matrix of the same dtype.

    Returns:
        `[rows, columns]` inner products, differentiable any number of times.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        d_left = inner_products(upstream, tf.transpose(right))
        d_right = inner_products(tf.transpose(upstream), tf.transpose(left))
        return d_left, d_right

    # The dot of XLA has no gradient in TensorFlow, so its inputs must be constants.
    return _inner_products(tf.stop_gradient(left), tf.stop_gradient(right)), gradient


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _inner_products(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    return dot(left, right, (1, 1), None)
