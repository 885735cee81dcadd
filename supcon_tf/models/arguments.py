"""What the models demand of their arguments."""

from typing import Any

import keras
import tensorflow as tf

# Their replicas run in threads, which cannot meet within one branch of a condition.
_MIRRORING = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)


def require_representations(encoder: keras.Model) -> int:
    """Returns the width of an encoder's output.

    Raises:
        ValueError: if the encoder is no model, is not built, or its output is not one tensor
            `[batch, dim]`.
    """
    if not isinstance(encoder, keras.Model):
        raise ValueError(
            "`encoder` must be a Keras model from images to representations, such as "
            f"`supcon_tf.encoders.resnet(50)`. Received: {encoder!r}"
        )
    if not encoder.built:
        raise ValueError(
            "`encoder` must be built: give it an `Input`, or call it once on images. "
            f"Received: encoder={encoder}"
        )
    # Keras knows them of functional and Sequential models only.
    shape = getattr(encoder, "output_shape", None)
    if shape is None or getattr(encoder, "input_shape", None) is None:
        raise ValueError(
            "`encoder` must be a functional or Sequential model, or have an `input_shape` and an "
            "`output_shape`; of a trained SupConModel take its `encoder`. "
            f"Received: encoder={encoder}"
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(
            "`encoder` must turn images into representations of shape [batch, dim]; end it with "
            f"global pooling or flattening. Received: encoder.output_shape={shape}"
        )
    return shape[1]


def symbolic_inputs(encoder: keras.Model) -> Any:
    """Returns the symbolic inputs of an encoder, in the structure that it is called with."""
    if isinstance(encoder, keras.Sequential):
        return encoder.inputs[0]
    if not hasattr(encoder, "inputs"):  # of a subclass that knows its shapes
        return keras.KerasTensor(encoder.input_shape, encoder.input_dtype)
    inputs = encoder.input
    return inputs[0] if isinstance(inputs, (list, tuple)) and len(inputs) == 1 else inputs


def require_layer(argument: str, value: Any, advice: str = "") -> None:
    """Raises `ValueError`, with advice, if an argument is neither `None` nor a layer or model."""
    if value is not None and not isinstance(value, keras.layers.Layer):
        raise ValueError(f"`{argument}` must be a Keras layer or model{advice}. Received: {value}")


def require_momentum(momentum: Any) -> None:
    """Raises `ValueError` if the momentum of an average is out of range."""
    if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
        raise ValueError(f"`momentum` must be a number from 0 and below 1. Received: {momentum!r}")


def require_no_accumulation(optimizer: keras.Optimizer, strategy: tf.distribute.Strategy) -> None:
    """Raises `ValueError` if an optimizer of Keras would fail to accumulate gradients."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    if isinstance(strategy, _MIRRORING) and optimizer.gradient_accumulation_steps:
        raise ValueError(
            "An optimizer of Keras cannot accumulate gradients under a strategy that mirrors "
            "variables. Leave out `gradient_accumulation_steps`; a larger batch in the same memory "
            "is `micro_batch_size` of SupConModel and MomentumSupConModel. Received: "
            f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps} under "
            f"{type(strategy).__name__}"
        )
