"""Exponential moving averages of the weights of layers."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._keras_internals import flatten_layers

# Weights and their copies.
Pairs = list[tuple[keras.Variable, keras.Variable]]


def clone(layer: keras.Layer, inputs: Any) -> keras.Layer:
    """Copies a layer and its weights, and hides the new weights from optimizers.

    Args:
        layer: a built layer or model.
        inputs: symbolic inputs to build the copy with, if its configuration holds no shapes.

    Returns:
        A layer with equal weights.
    """
    copy = _rebuild(layer)
    if not copy.built:
        copy(inputs)
    copy.set_weights(layer.get_weights())
    sync_trainable(layer, copy)
    return copy


def sync_trainable(layer: keras.Layer, copy: keras.Layer) -> Pairs:
    """Sets `trainable` of every layer within a copy to the value of its original.

    A frozen batch normalization uses its moving statistics in training mode too. The original can
    be frozen or unfrozen after the copy was created.

    Args:
        layer: the original.
        copy: the copy of `clone`.

    Returns:
        The weights that gradients update when no layer is frozen, and their copies. Moving
        statistics are not among them.
    """
    trainable = [original.trainable for original in flatten_layers(layer)]
    copy.trainable = False  # Keras ignores an assignment of the same value
    copy.trainable = True
    updated = [weight.trainable for weight in copy.weights]
    for inner_copy, value in zip(flatten_layers(copy), trainable, strict=True):
        inner_copy.trainable = value
    # Optimizers skip weights that are not trainable, even in trainable layers.
    for weight in copy.weights:
        weight.trainable = False
    pairs = zip(layer.weights, copy.weights, strict=True)
    return [pair for pair, is_updated in zip(pairs, updated, strict=True) if is_updated]


def update_ema(pairs: Pairs, momentum: float | tf.Tensor) -> None:
    r"""Updates averages: $\bar\theta \leftarrow m \bar\theta + (1 - m) \theta$.

    Args:
        pairs: the weights $\theta$ and their averages $\bar\theta$.
        momentum: the momentum m.
    """
    for weight, average in pairs:
        # In half precision a momentum of 0.999 would be 1.
        dtype = tf.float64 if average.dtype == "float64" else tf.float32
        m, old, new = (tf.cast(x, dtype) for x in (momentum, average.value, weight.value))
        average.assign(tf.cast(m * old + (1 - m) * new, average.dtype))


def _rebuild(layer: keras.Layer) -> keras.Layer:
    """Creates a layer of the same kind with new weights.

    A functional or Sequential model is cloned layer by layer, without serialization. `Lambda`
    layers and classes that Keras cannot find by name need no configuration that way.
    """
    if isinstance(layer, keras.Model) and hasattr(layer, "outputs"):
        return keras.models.clone_model(layer, clone_function=_rebuild, recursive=True)
    if not isinstance(layer, keras.Layer) or not layer.variables:
        return layer  # Layers without state and operations such as `x[:, 0]` can be shared.
    return type(layer).from_config(layer.get_config())
