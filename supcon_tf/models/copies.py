"""Copies of layers whose weights follow those of the trained ones."""

from collections.abc import Iterable

import keras
import tensorflow as tf


def copy_of(layer: keras.Layer, input_shape: tuple[int | None, ...] | None = None) -> keras.Layer:
    """Copies a layer, with weights that no optimizer touches.

    Args:
        layer: a built layer or model.
        input_shape: what to build the copy for, where its configuration does not tell.

    Returns:
        A layer of the same weights.
    """
    copy = type(layer).from_config(layer.get_config())
    if not copy.built:
        copy.build(input_shape)
    copy.set_weights(layer.get_weights())
    # A layer that is not trainable would normalise by moving statistics; its variables can be.
    for weight in copy.weights:
        weight.trainable = False
    return copy


def follow(
    pairs: Iterable[tuple[keras.Variable, keras.Variable]], momentum: float | tf.Tensor
) -> None:
    r"""Moves copies towards weights: $\theta_k \leftarrow m \theta_k + (1 - m) \theta$.

    Args:
        pairs: the weight $\theta$ and its copy $\theta_k$.
        momentum: m.
    """
    for weight, copy in pairs:
        copy.assign(momentum * copy.value + (1 - momentum) * weight.value)
