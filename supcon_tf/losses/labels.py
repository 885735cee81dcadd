"""The forms of labels that users have, turned into the one form that the losses compute with."""

from typing import Any

import tensorflow as tf

from supcon_tf.similarity.dense import UNLABELLED


def class_ids(labels: Any) -> tf.Tensor:
    """Turns class ids or one-hot rows into a vector of class ids.

    Args:
        labels: integer class ids `[batch]` or `[batch, 1]` (any integers; -1 marks a sample
            without a label), or one-hot rows `[batch, classes]` with two or more columns of any
            numeric dtype (an all-zero row marks a sample without a label).

    Returns:
        `[batch]` int64 class ids, -1 for samples without a label.

    Raises:
        ValueError: for another rank, ids that are not integers, or rows that are not one-hot. The
            rows' values are looked at when they are known: eagerly as a `ValueError`, in a graph as
            an `InvalidArgumentError` of the step, and not at all inside XLA.
    """
    labels = tf.convert_to_tensor(labels)
    columns = labels.shape[-1] if labels.shape.rank == 2 else None
    if labels.shape.rank not in (1, 2) or (labels.shape.rank == 2 and columns is None):
        raise ValueError(
            "`y_true` must hold class ids of shape [batch] or [batch, 1], or one-hot rows of shape "
            f"[batch, classes] with a known number of classes. Received: shape={labels.shape}"
        )
    if labels.shape.rank == 1 or columns == 1:
        if not labels.dtype.is_integer:
            raise ValueError(
                "Class ids in `y_true` must be integers, since floating point ids collide when "
                "they are large; cast them to int64, or pass one-hot rows with two or more columns."
                f" Received: dtype={labels.dtype.name}, shape={labels.shape}"
            )
        return tf.cast(tf.reshape(labels, [-1]), tf.int64)
    if not (labels.dtype.is_integer or labels.dtype.is_floating or labels.dtype.is_bool):
        raise ValueError(
            f"One-hot rows in `y_true` must be numbers. Received: dtype={labels.dtype.name}"
        )
    rows = labels if labels.dtype.is_floating else tf.cast(labels, tf.int64)
    with tf.control_dependencies(_require_one_hot(rows)):
        labelled = tf.reduce_any(rows > 0, axis=1)
        return tf.where(labelled, tf.argmax(rows, axis=1), tf.constant(UNLABELLED, tf.int64))


def _require_one_hot(rows: tf.Tensor) -> list[tf.Operation]:
    """Checks that every row holds zeros and at most a single one."""
    zero_or_one = tf.reduce_all((rows == 0) | (rows == 1))
    valid = zero_or_one & tf.reduce_all(tf.math.count_nonzero(rows, axis=1) <= 1)
    message = (
        "Rows of `y_true` with two or more columns must be one-hot (a single 1) or all zero "
        "(no label); label distributions belong to GeneralizedSupConLoss."
    )
    if tf.executing_eagerly():
        if not valid:
            raise ValueError(f"{message} Received: y_true={rows.numpy()}")
        return []
    return [tf.debugging.Assert(valid, [message, "Received:", rows])]
