"""Non-finite numbers that a loss cannot see."""

from typing import Any

import tensorflow as tf


def nan_unless_finite(*structures: Any) -> tf.Tensor:
    """Tells whether all floating point tensors are finite, as a number to add to a loss.

    Where TensorFlow fuses a matrix product or a convolution with ReLU, on CPU and in plain graphs,
    ReLU turns NaN into 0. Embeddings of NaN images or of NaN weights are then finite.

    Args:
        *structures: nested structures of tensors or variables. What is absent or not
            floating point counts as finite.

    Returns:
        A float32 scalar: 0, or NaN if a number of the structures is NaN or infinite.
    """
    # A sum is as finite as its terms, and takes no memory. Half precision overflows in it.
    parts = tf.nest.flatten(structures, expand_composites=True)
    tensors = [tf.convert_to_tensor(part) for part in parts if part is not None]
    finite = [
        tf.math.is_finite(tf.reduce_sum(tf.cast(x, tf.float32) if x.dtype.size < 4 else x))
        for x in tensors
        if x.dtype.is_floating
    ]
    return tf.where(tf.reduce_all(finite), 0.0, float("nan")) if finite else tf.zeros([])
