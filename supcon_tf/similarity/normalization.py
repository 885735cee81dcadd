"""Rows of unit length."""

import tensorflow as tf

# The gradient of shorter rows is bounded by the inverse of this.
_SHORTEST = 1e-6


def l2_normalize(x: tf.Tensor) -> tf.Tensor:
    r"""Divides rows by their length, with a gradient that short rows cannot blow up.

    $$z = \frac{x}{|x|}, \qquad
        \frac{\partial z}{\partial x} = \frac{I - z z^T}{\max(|x|, 10^{-6})}$$

    A row of zeros stays zero and has no gradient: one blank image must not throw the weights of a
    training away. Rows of any finite size come out with unit length. A row that is not finite comes
    out as NaN.

    Args:
        x: floating point, `[..., dim]`.

    Returns:
        The same shape and dtype.
    """
    largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
    zero = largest == 0
    # Of scaled rows the squares neither overflow nor vanish.
    scale = tf.stop_gradient(tf.where(zero, tf.ones_like(largest), largest))
    scaled = x / scale
    squared = tf.reduce_sum(tf.square(scaled), axis=-1, keepdims=True)
    length = tf.sqrt(tf.where(zero, tf.ones_like(squared), squared))
    z = scaled / length
    # The share of the gradient that is kept: all but for short rows.
    share = tf.where(zero, tf.zeros_like(length), tf.minimum(scale / _SHORTEST * length, 1))
    share = tf.stop_gradient(share)
    return share * z + tf.stop_gradient((1 - share) * z)
