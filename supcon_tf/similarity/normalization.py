"""Rows of unit length."""

import tensorflow as tf

# The gradient of shorter rows is that of a row of this length.
_SHORTEST = 1e-6


def l2_normalize(x: tf.Tensor) -> tf.Tensor:
    r"""Divides rows by their length, with a bounded gradient.

    $$z = \frac{x}{|x|}, \qquad
        \frac{\partial z}{\partial x} = \frac{I - z z^T}{\max(|x|, 10^{-6})}$$

    A row of zeros stays zero and has gradient zero, so that one blank image cannot destroy the
    weights of a model. Any other finite row is scaled to unit length. A row that is not finite
    becomes NaN.

    Args:
        x: floating point, `[..., dim]`.

    Returns:
        The same shape and dtype.
    """
    largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
    zero = largest == 0
    # The squares of scaled rows neither overflow nor underflow.
    scale = tf.stop_gradient(tf.where(zero, tf.ones_like(largest), largest))
    scaled = x / scale
    squared = tf.reduce_sum(tf.square(scaled), axis=-1, keepdims=True)
    length = tf.sqrt(tf.where(zero, tf.ones_like(squared), squared))
    z = scaled / length
    # The factor of the gradient, below 1 for short rows.
    factor = tf.where(zero, tf.zeros_like(length), tf.minimum(scale / _SHORTEST * length, 1))
    factor = tf.stop_gradient(factor)
    return factor * z + tf.stop_gradient((1 - factor) * z)
