"""Shapes of tensors while a function is traced."""

from typing import Any

import tensorflow as tf


def known_shape(x: tf.Tensor) -> list[Any]:
    """Returns the size of every axis: an integer if the trace knows it, otherwise a tensor.

    Arithmetic of integers takes no operations, and shows the trace which loops have one step.
    """
    return [tf.shape(x)[axis] if size is None else size for axis, size in enumerate(x.shape)]
