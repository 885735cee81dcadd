"""Normalization of representations and projections."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf.similarity.normalization import l2_normalize


@keras.saving.register_keras_serializable(package="supcon_tf")
class L2Normalization(keras.layers.Layer):
    """Divides rows by their length, as the losses do.

    Unlike `keras.layers.UnitNormalization`, whose gradient at a row of zeros is 1e12, its gradient
    is bounded, see `supcon_tf.similarity.normalization.l2_normalize`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns rows of unit length; rows of zeros stay zero."""
        return l2_normalize(inputs)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the shape of the input."""
        return input_shape
