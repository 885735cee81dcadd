"""Batches without labels, and anchors without positives."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from supcon_tf.labels import UNLABELED
from supcon_tf.losses import positives
from supcon_tf.losses.embedding import EmbeddingLoss, convert_labels
from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.models.fit_data import require_no_images
from supcon_tf.models.views import first_array


def unlabeled(images: Any) -> tf.Tensor | keras.KerasTensor:
    """Returns the class ids of samples without labels.

    Args:
        images: a batch, or its symbolic tensors.

    Returns:
        `[batch]` int64 class ids, all -1. The positives of a sample are then its own other views.
    """
    array = first_array(images)
    if isinstance(array, keras.KerasTensor):
        return keras.KerasTensor(array.shape[:1], "int64")
    return tf.fill(tf.shape(array)[:1], tf.constant(UNLABELED, tf.int64))


def require_no_distributions(loss: Any) -> None:
    """Raises `ValueError` if a loss needs label distributions, for a batch without labels."""
    if isinstance(loss, GeneralizedSupConLoss):
        raise ValueError(
            "`y` must hold label distributions for GeneralizedSupConLoss. To train without labels, "
            f"as SimCLR does, use SupConLoss. Received: a batch without labels, loss={loss.name}"
        )


def warn_of_single_samples(x: Any, batch_size: int | None) -> None:
    """Warns if every batch holds one sample, so that its views are compared with nothing else.

    Args:
        x: as in `keras.Model.fit`.
        batch_size: as in `keras.Model.fit`.
    """
    if isinstance(x, tf.data.Dataset):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        batch_size = first_array(images).shape[0]
    if batch_size == 1:
        warnings.warn(
            "Every batch holds a single sample, whose views are compared with no other sample, so "
            "that the loss is 0 and the model learns nothing. Use larger batches.",
            stacklevel=3,
        )


def warn_without_positives(
    loss: Any, x: Any, y: Any, batch_size: int | None, shuffle: bool
) -> None:
    """Warns if no anchor of the first batch has a positive, so that the loss is 0.

    Only arrays and datasets are checked. Reading a batch from a generator would consume it.

    Args:
        loss: the loss of the compiled model.
        x: as in `keras.Model.fit`, with a single view of each sample.
        y: as in `keras.Model.fit`.
        batch_size: as in `keras.Model.fit`.
        shuffle: whether `fit` shuffles arrays.

    Raises:
        ValueError: if the labels are not valid.
    """
    if not isinstance(loss, EmbeddingLoss):
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
    require_no_images(y)
    if y is None:
        labels = np.full(first_array(x).shape[0], UNLABELED)
    else:
        labels = convert_labels(loss, y).numpy()
    positives.warn_without_positives(labels, stacklevel=3)
