"""Copies of layers whose weights follow those of the trained ones."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._keras_internals import flatten_layers

Pairs = list[tuple[keras.Variable, keras.Variable]]


def clone(layer: keras.Layer, inputs: Any) -> keras.Layer:
    """Copies a layer, with weights that no optimizer touches.

    Args:
        layer: a built layer or model.
        inputs: symbolic inputs to build the copy with, where its configuration does not tell.

    Returns:
        A layer of the same weights.
    """
    copy = _rebuilt(layer)
    if not copy.built:
        copy(inputs)
    copy.set_weights(layer.get_weights())
    sync_trainable(layer, copy)
    return copy


def sync_trainable(layer: keras.Layer, copy: keras.Layer) -> Pairs:
    """Makes a copy compute in training what its original does, where that is frozen too.

    A frozen layer normalizes by its moving statistics. The original may be frozen, or no longer be,
    since the copy was made.

    Args:
        layer: the original.
        copy: its copy.

    Returns:
        The weights that gradients change, frozen now or not, and their copies; moving statistics
        are none.
    """
    trainable = [original.trainable for original in flatten_layers(layer)]
    copy.trainable = False  # Keras ignores an assignment that changes nothing
    copy.trainable = True
    learned = [weight.trainable for weight in copy.weights]
    for its_copy, value in zip(flatten_layers(copy), trainable, strict=True):
        its_copy.trainable = value
    # Not trainable themselves, the weights are hidden from optimizers.
    for weight in copy.weights:
        weight.trainable = False
    pairs = zip(layer.weights, copy.weights, strict=True)
    return [pair for pair, is_learned in zip(pairs, learned, strict=True) if is_learned]


def update_ema(pairs: Pairs, momentum: float | tf.Tensor) -> None:
    r"""Moves copies towards weights: $\theta_k \leftarrow m \theta_k + (1 - m) \theta$.

    Args:
        pairs: the weight $\theta$ and its copy $\theta_k$.
        momentum: m.
    """
    for weight, copy in pairs:
        # In half precision 0.999 would be 1.
        dtype = tf.float64 if copy.dtype == "float64" else tf.float32
        m, kept, new = (tf.cast(x, dtype) for x in (momentum, copy.value, weight.value))
        copy.assign(tf.cast(m * kept + (1 - m) * new, copy.dtype))


def _rebuilt(layer: keras.Layer) -> keras.Layer:
    """Builds a layer of the same kind anew, with weights of its own.

    Nothing is serialized where the graph of layers is known: a function within a `Lambda` has no
    configuration to trust, and a class needs no name that Keras could find it by.
    """
    if isinstance(layer, keras.Model) and hasattr(layer, "outputs"):
        return keras.models.clone_model(layer, clone_function=_rebuilt, recursive=True)
    if not isinstance(layer, keras.Layer) or not layer.variables:
        return layer  # what has no state serves both, and so do operations as `x[:, 0]`
    return type(layer).from_config(layer.get_config())
