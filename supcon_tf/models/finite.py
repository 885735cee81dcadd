"""Detection of non-finite numbers that a loss cannot see."""

from typing import Any

import tensorflow as tf


def nan_unless_finite(*structures: Any) -> tf.Tensor:
    """Returns a term of a loss that is 0 if all tensors are finite, and otherwise NaN.

    The embeddings of NaN images, or from NaN weights, can be finite. TensorFlow fuses a matrix
    product or a convolution with a ReLU, on CPU in graphs without XLA, and this ReLU converts NaN
    to 0.

    Args:
        *structures: nested structures of tensors or variables. `None` and tensors that are not
            floating-point count as finite.

    Returns:
        A float32 scalar.
    """
    parts = tf.nest.flatten(structures, expand_composites=True)
    tensors = [tf.convert_to_tensor(part) for part in parts if part is not None]
    # The sum of a tensor is finite if its elements are, and needs no memory. Half precision would
    # overflow.
    finite = [
        tf.math.is_finite(tf.reduce_sum(tf.cast(x, tf.float32) if x.dtype.size < 4 else x))
        for x in tensors
        if x.dtype.is_floating
    ]
    return tf.where(tf.reduce_all(finite), 0.0, float("nan")) if finite else tf.zeros([])
