"""Checks of the arguments that several models share."""

from typing import Any

import keras
import tensorflow as tf

# Their replicas run in threads, which cannot synchronize inside one branch of a condition.
_MIRRORING = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_encoder(encoder: keras.Model) -> int:
    """Returns the width of the representations of an encoder.

    Raises:
        ValueError: if the encoder is not a model, is not built, or does not return one tensor
            `[batch, dim]`.
    """
    if not isinstance(encoder, keras.Model):
        raise ValueError(
            "`encoder` must be a Keras model from images to representations, such as "
            f"`supcon_tf.encoders.resnet(50)`. Received: {encoder!r}"
        )
    if not encoder.built:
        raise ValueError(
            "`encoder` must be built: add an `Input`, or call it once on images. "
            f"Received: encoder={encoder}"
        )
    # Keras defines these attributes for functional and Sequential models only.
    shape = getattr(encoder, "output_shape", None)
    if shape is None or getattr(encoder, "input_shape", None) is None:
        raise ValueError(
            "`encoder` must be a functional or Sequential model, or have the attributes "
            "`input_shape` and `output_shape`. For a trained SupConModel, pass its attribute "
            f"`encoder`. Received: encoder={encoder}"
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(
            "`encoder` must return representations of shape [batch, dim]: end it with global "
            f"pooling or flattening. Received: encoder.output_shape={shape}"
        )
    return shape[1]


def require_layer(argument: str, value: Any, advice: str = "") -> None:
    """Raises `ValueError`, with advice, if an argument is neither `None` nor a layer or model."""
    if value is not None and not isinstance(value, keras.layers.Layer):
        raise ValueError(f"`{argument}` must be a Keras layer or model{advice}. Received: {value}")


def require_momentum(momentum: Any) -> None:
    """Raises `ValueError` unless the momentum of an average is at least 0 and below 1."""
    if not isinstance(momentum, (int, float)) or not 0 <= momentum < 1:
        raise ValueError(
            f"`momentum` must be a number of at least 0 and below 1. Received: {momentum!r}"
        )


def require_no_accumulation(optimizer: keras.Optimizer, strategy: tf.distribute.Strategy) -> None:
    """Raises `ValueError` if an optimizer accumulates gradients where Keras cannot."""
    # A LossScaleOptimizer wraps another optimizer.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(strategy, _MIRRORING) and optimizer.gradient_accumulation_steps:
        raise ValueError(
            "Optimizers of Keras cannot accumulate gradients under a strategy that mirrors "
            "variables. Omit `gradient_accumulation_steps`. For larger batches in the same memory, "
            "use `micro_batch_size` of SupConModel or MomentumSupConModel. Received: "
            f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps} under "
            f"{type(strategy).__name__}"
        )
