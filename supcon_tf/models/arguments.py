"""Checks of the arguments that several models share."""

import inspect
import warnings
from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

# Their replicas run in threads, which cannot synchronize inside one branch of a condition.
_MIRRORING = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)

# Metrics of Keras that take the probabilities of classes.
CLASS_METRICS = (
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
    keras.metrics.TopKCategoricalAccuracy,
    keras.metrics.SparseTopKCategoricalAccuracy,
)


def check_encoder(encoder: keras.Model) -> int:
    """Returns the width of the representations of an encoder.

    Warns if the encoder ends in a softmax.

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
    if isinstance(getattr(encoder, "output", None), dict):
        raise ValueError(
            "`encoder` must return one tensor of shape [batch, dim]. Select it with "
            "`keras.Model(encoder.input, encoder.output[name])`. "
            f"Received: an encoder that returns a dict of {list(encoder.output)}"
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(
            "`encoder` must return representations of shape [batch, dim]: end it with global "
            f"pooling or flattening. Received: encoder.output_shape={shape}"
        )
    last = encoder.layers[-1] if encoder.layers else None
    if getattr(last, "activation", None) is keras.activations.softmax:
        warnings.warn(
            f"The encoder {encoder.name!r} ends in a softmax, so it returns probabilities of "
            "classes instead of representations. Remove the classification layer; for a model of "
            "`keras.applications`, pass `include_top=False, pooling='avg'`.",
            stacklevel=4,
        )
    return shape[1]


def check_projection_head(head: keras.Layer, dim: int) -> None:
    """Raises `ValueError` unless a projection head maps `[batch, dim]` to `[batch, width]`."""
    # Keras defines these attributes for functional and Sequential models only.
    given, returned = getattr(head, "input_shape", None), getattr(head, "output_shape", None)
    if isinstance(given, tuple) and given[-1] not in (None, dim):
        raise ValueError(
            f"`projection_head` must take representations of shape [batch, {dim}], as the encoder "
            f"returns them. Received: projection_head.input_shape={given}"
        )
    if isinstance(returned, tuple) and len(returned) != 2:
        raise ValueError(
            "`projection_head` must return projections of shape [batch, dim]. "
            f"Received: projection_head.output_shape={returned}"
        )


def find_from_logits(loss: Any) -> bool | None:
    """Returns the argument `from_logits` of a loss of classes, and `None` for other losses."""
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits")
    if not callable(loss):
        return None
    parameters = inspect.signature(loss).parameters
    return parameters["from_logits"].default if "from_logits" in parameters else None


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


def require_momentum_or_schedule(momentum: Any) -> None:
    """Raises `ValueError` unless the momentum is as in `require_momentum`, or a schedule."""
    if not isinstance(momentum, LearningRateSchedule):
        require_momentum(momentum)


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
