"""What a model does about samples without labels, and about anchors without positives."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from supcon_tf.labels import UNLABELED
from supcon_tf.losses import positives
from supcon_tf.losses.embedding import EmbeddingLoss, convert_labels
from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.models.views import first_array


def without_labels(images: Any) -> tf.Tensor | keras.KerasTensor:
    """Labels samples that have none.

    Args:
        images: a batch, or its symbolic tensors.

    Returns:
        `[batch]` int64 class ids, all -1: every sample has its own other views as positives.
    """
    one = first_array(images)
    if isinstance(one, keras.KerasTensor):
        return keras.KerasTensor(one.shape[:1], "int64")
    return tf.fill(tf.shape(one)[:1], tf.constant(UNLABELED, tf.int64))


def require_no_distributions(loss: Any) -> None:
    """Raises `ValueError` if a loss learns from label distributions, where there are no labels."""
    if isinstance(loss, GeneralizedSupConLoss):
        raise ValueError(
            "`y` must hold label distributions for GeneralizedSupConLoss; SupConLoss trains "
            f"without labels, as SimCLR does. Received: a batch without labels, loss={loss.name}"
        )


def warn_without_positives(
    loss: Any, views: int | None, x: Any, y: Any, batch_size: int | None, shuffle: bool
) -> None:
    """Warns if no anchor of the first batch has a positive, so that the loss is 0.

    Only what can be looked at without being used up is: arrays and datasets.

    Args:
        loss: the loss that the model is compiled with.
        views: how many views the model gets of each sample, if that is known.
        x: as of `keras.Model.fit`.
        y: as of `keras.Model.fit`.
        batch_size: as of `keras.Model.fit`.
        shuffle: whether `fit` shuffles arrays.
    """
    if views != 1 or not isinstance(loss, EmbeddingLoss):
        return
    if isinstance(x, tf.data.Dataset):
        batch = next(iter(x), None)
        if batch is None:
            return
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    elif y is not None:
        order = np.arange(len(y))
        if shuffle:
            order = np.random.default_rng(0).permutation(order)
        y = np.asarray(y)[order[: batch_size or 32]]
    if y is None:
        labels = np.full(first_array(x).shape[0], UNLABELED)
    else:
        labels = convert_labels(loss, y).numpy()
    positives.warn_without_positives(labels, stacklevel=3)
