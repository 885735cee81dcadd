"""L2 normalization as a layer."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf.similarity.normalization import l2_normalize


@keras.saving.register_keras_serializable(package="supcon_tf")
class L2Normalization(keras.layers.Layer):
    """Scales rows to unit length, in the same way as the losses.

    The gradient is bounded, see `supcon_tf.similarity.normalization.l2_normalize`. The gradient of
    `keras.layers.UnitNormalization` reaches 1e12 at a row of zeros.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns rows of unit length; rows of zeros remain zero."""
        return l2_normalize(inputs)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the shape of the input."""
        return input_shape
