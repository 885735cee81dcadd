"""Forms of the SupCon loss that benchmarks compare, and random rows to compute them for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def random_rows(rows: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `[rows, dim]` float32 rows of unit length and `[rows]` class ids, always the same."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal([rows, dim], dtype=np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return z, rng.integers(0, classes, rows)


def value_and_gradient(loss: Callable[[Any, Any], tf.Tensor]) -> Callable[[Any, Any], tuple]:
    """Returns a function of embeddings and labels: the loss, and its gradient by the embeddings.

    Args:
        loss: function of labels and embeddings, as losses of Keras are.
    """

    def step(z: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(labels, z)
        return value, tape.gradient(value, z)

    return step


def dense_supcon(z: tf.Tensor, ids: tf.Tensor, temperature: float) -> tf.Tensor:
    """Computes the losses of all rows with the whole similarity matrix in memory.

    Args:
        z: `[rows, dim]` floating point rows.
        ids: `[rows]` class ids, each of at least two rows.
        temperature: tau.

    Returns:
        `[rows]` losses in the dtype of `z`.
    """
    positives = tf.cast(ids[:, None] == ids[None, :], z.dtype)
    return dense_weighted(z, positives - tf.eye(tf.shape(z)[0], dtype=z.dtype), temperature)


def dense_weighted(z: tf.Tensor, weights: tf.Tensor, temperature: float) -> tf.Tensor:
    """Computes the losses of all rows from the weights of their positives.

    Args:
        z: `[rows, dim]` floating point rows.
        weights: `[rows, rows]` weights, zero on the diagonal.
        temperature: tau.

    Returns:
        `[rows]` losses in the dtype of `z`.
    """
    s = tf.matmul(z, z, transpose_b=True) / temperature
    s -= tf.stop_gradient(tf.reduce_max(s, axis=1, keepdims=True))
    others = 1 - tf.eye(tf.shape(z)[0], dtype=z.dtype)
    log_sum = tf.math.log(tf.reduce_sum(tf.exp(s) * others, axis=1))
    return log_sum - tf.reduce_sum(weights * s, axis=1) / tf.reduce_sum(weights, axis=1)


def dense_supcon_pytorch(z: Any, ids: Any, temperature: float) -> Any:
    """Computes the mean of the losses of all rows in PyTorch, with all similarities in memory.

    Args:
        z: `[rows, dim]` tensor of PyTorch.
        ids: `[rows]` class ids, each of at least two rows.
        temperature: tau.
    """
    import torch

    others = 1 - torch.eye(len(z), device=z.device)
    positives = (ids[:, None] == ids[None, :]).float() * others
    s = z @ z.T / temperature
    s = s - s.max(dim=1, keepdim=True).values.detach()
    log_probability = s - torch.log((torch.exp(s) * others).sum(1, keepdim=True))
    return -((positives * log_probability).sum(1) / positives.sum(1)).mean()
