"""Shapes while a function is traced: integers where the trace knows them, otherwise tensors."""

from typing import Any

import tensorflow as tf


def known_shape(x: tf.Tensor) -> list[Any]:
    """Returns the size of every axis: an integer if the trace knows it, otherwise a tensor.

    Arithmetic of integers takes no operations, and shows the trace which loops have one step.
    """
    return [tf.shape(x)[axis] if size is None else size for axis, size in enumerate(x.shape)]


def block_shape(size: Any, block_size: int) -> tuple[Any, Any]:
    """Returns how many blocks of how many rows hold all rows, with as little padding as possible.

    Args:
        size: number of rows.
        block_size: the largest number of rows of a block.

    Returns:
        The number of blocks and the number of rows of a block, at least 1: integers if `size` is.
    """
    largest = max if isinstance(size, int) else tf.maximum
    count = largest(1, -(-size // block_size))
    return count, largest(1, -(-size // count))
