"""A warning for training data that is sorted by class."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from supcon_tf.labels import UNLABELED

_BATCHES = 3


def warn_if_sorted_by_class(dataset: tf.data.Dataset) -> None:
    """Warns if each of the first batches holds a single class, which the model then overfits.

    Args:
        dataset: batches `(images, labels)` or `(images, labels, sample_weight)`. Labels that are
            neither class ids `[batch]` nor one-hot rows `[batch, classes]` are not checked.
    """
    _, spec, _ = keras.utils.unpack_x_y_sample_weight(dataset.element_spec)
    if not isinstance(spec, tf.TensorSpec) or not _are_classes(spec):
        return
    labels = [
        keras.utils.unpack_x_y_sample_weight(batch)[1].numpy() for batch in dataset.take(_BATCHES)
    ]
    if len(labels) == _BATCHES and all(map(_is_single_class, labels)):
        warnings.warn(
            f"Each of the first {_BATCHES} batches holds a single class, so the data is not "
            "shuffled. Shuffle the samples before `tf.data.Dataset.batch`, with a buffer that is "
            "much larger than a class.",
            stacklevel=3,
        )


def _are_classes(spec: Any) -> bool:
    return (spec.shape.rank == 1 and spec.dtype.is_integer) or spec.shape.rank == 2


def _is_single_class(labels: np.ndarray[Any, Any]) -> bool:
    if labels.ndim == 2:
        if labels.shape[1] == 1:
            labels = labels[:, 0]
        elif not np.array_equal(np.sort(labels, axis=1)[:, :-1], np.zeros_like(labels[:, 1:])):
            return False  # Rows with several classes.
        else:
            labels = labels.argmax(axis=1)
    return len(labels) > 1 and len(np.unique(labels)) == 1 and labels[0] != UNLABELED
