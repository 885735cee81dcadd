"""Conversion and checks of labels: class ids, one-hot rows and label distributions."""

from typing import Any

import tensorflow as tf

from supcon_tf._checks import check_fraction, check_integer

# Class id of an unlabeled sample, whose positives are only its own other views.
UNLABELED = -1


def to_class_ids(labels: Any, num_classes: int | None = None) -> tf.Tensor:
    """Converts class ids or one-hot rows to a vector of class ids.

    Args:
        labels: integer class ids `[batch]` or `[batch, 1]`, -1 for an unlabeled sample; or one-hot
            rows `[batch, classes]` with two or more columns of any numeric dtype, all zero for an
            unlabeled sample.
        num_classes: the number of classes. All ids must be below it. `None` allows any integers.

    Returns:
        `[batch]` int64 class ids, -1 for unlabeled samples.

    Raises:
        ValueError: if the shape is not as described, ids are not integers or are out of range, or
            rows are not one-hot. In a graph, invalid values raise a
            `tf.errors.InvalidArgumentError` when it runs. XLA drops this check of values: see
            `are_class_ids`.
    """
    labels = tf.convert_to_tensor(labels)
    columns = labels.shape[-1] if labels.shape.rank == 2 else None
    if labels.shape.rank not in (1, 2) or (labels.shape.rank == 2 and columns is None):
        raise ValueError(
            "`y_true` must hold class ids of shape [batch] or [batch, 1], or one-hot rows of shape "
            "[batch, classes] with a known number of classes. For one label distribution per view, "
            f"use GeneralizedSupConLoss. Received: shape={labels.shape}"
        )
    if labels.shape.rank == 1 or columns == 1:
        if not labels.dtype.is_integer:
            raise ValueError(
                "Class ids in `y_true` must be integers. Cast floating point ids to int64, because "
                "large ones collide; convert names to integers with `np.unique(names, "
                "return_inverse=True)[1]`; or pass one-hot rows with two or more columns. "
                f"Received: dtype={labels.dtype.name}, shape={labels.shape}"
            )
        ids = tf.cast(tf.reshape(labels, [-1]), tf.int64)
    else:
        require_numbers(labels)
        rows = labels if labels.dtype.is_floating else tf.cast(labels, tf.int64)
        rows = _ensure(
            _are_one_hot(rows),
            rows,
            "Rows of `y_true` with two or more columns must be one-hot (a single 1) or all zero "
            "(unlabeled). For label distributions, use GeneralizedSupConLoss.",
        )
        ids = _largest_class(rows)
    if num_classes is None:
        return ids
    return _ensure(
        tf.reduce_all((ids >= UNLABELED) & (ids < num_classes)),
        ids,
        f"Class ids must be at least -1 (unlabeled) and below `num_classes`={num_classes}.",
    )


def to_distributions(labels: Any) -> tf.Tensor:
    """Converts label distributions to floating point and checks them.

    Args:
        labels: non-negative numbers of any scale and numeric dtype, one distribution per sample
            `[batch, classes]` or per view `[batch, views, classes]`.

    Returns:
        The same shape in float32, or in float64 if `labels` are float64.

    Raises:
        ValueError: if the shape is not as described, or values are negative or not finite. Values
            are checked as in `to_class_ids`.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank not in (2, 3) or labels.shape[-1] is None or labels.shape[-1] < 2:
        raise ValueError(
            "`y_true` must hold label distributions of shape [batch, classes] or [batch, views, "
            "classes], with a known number of two or more classes. For class ids, use SupConLoss "
            f"or convert them with `tf.one_hot`. Received: shape={labels.shape}"
        )
    require_numbers(labels)
    if labels.dtype != tf.float64:
        labels = tf.cast(labels, tf.float32)
    return _ensure(
        are_distributions(labels),
        labels,
        "Label distributions in `y_true` must be finite and not negative.",
    )


def to_soft_labels(labels: Any, num_classes: int, label_smoothing: float = 0.0) -> tf.Tensor:
    r"""Converts class ids or label distributions to label distributions, optionally smoothed.

    Smoothing replaces a distribution $y$ over $C$ classes by
    $(1 - \epsilon) y + \epsilon |y|_1 / C$. The sum of $y$ does not change, and rows of zeros stay
    zero.

    Args:
        labels: integer class ids `[batch]` or `[batch, 1]` below `num_classes`, -1 for an unlabeled
            sample; or non-negative rows `[batch, num_classes]` of any numeric dtype.
        num_classes: the number of classes C, at least 2.
        label_smoothing: epsilon, at least 0 and below 1.

    Returns:
        `[batch, num_classes]` in float32, or in float64 if `labels` are float64. Rows of unlabeled
        samples are zero.

    Raises:
        ValueError: if an argument or a shape is not as described, ids are not integers or are out
            of range, or values are negative or not finite. Values are checked as in `to_class_ids`.
    """
    check_integer("num_classes", num_classes, least=2)
    check_fraction("label_smoothing", label_smoothing)
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 1 or (labels.shape.rank == 2 and labels.shape[1] == 1):
        rows = tf.one_hot(to_class_ids(labels, num_classes), num_classes)
    elif labels.shape.rank == 2 and labels.shape[1] == num_classes:
        rows = to_distributions(labels)
    else:
        raise ValueError(
            "Labels must be class ids of shape [batch] or [batch, 1], or label distributions of "
            f"shape [batch, num_classes]. Received: shape={labels.shape}, num_classes={num_classes}"
        )
    if not label_smoothing:
        return rows
    total = tf.reduce_sum(rows, axis=1, keepdims=True)
    return (1 - label_smoothing) * rows + label_smoothing * total / num_classes


def to_dominant_class_ids(labels: Any) -> tf.Tensor:
    """Converts labels of any form to class ids, without checks of their values.

    Args:
        labels: class ids `[batch]` or `[batch, 1]`, or rows `[batch, classes]` or `[batch, views,
            classes]`, which are summed over the views. The class of a row is its largest entry.

    Returns:
        `[batch]` int64 class ids, -1 for unlabeled samples.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_bool:
        labels = tf.cast(labels, tf.int64)
    if labels.shape.rank == 3:
        labels = tf.reduce_sum(labels, axis=1)
    if labels.shape.rank == 2 and labels.shape[1] != 1:
        return _largest_class(labels)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)


# XLA drops the checks of values in the functions above. Inside XLA, losses are NaN if one of the
# following functions returns false.


def are_class_ids(labels: tf.Tensor) -> tf.Tensor:
    """Returns whether labels of a shape that `to_class_ids` accepts have valid values."""
    if labels.shape.rank == 1 or labels.shape[1] == 1:
        return tf.constant(True)
    return _are_one_hot(labels if labels.dtype.is_floating else tf.cast(labels, tf.int64))


def are_distributions(labels: tf.Tensor) -> tf.Tensor:
    """Returns whether label distributions are finite and not negative."""
    if not labels.dtype.is_floating:
        labels = tf.cast(labels, tf.float32)
    return tf.reduce_all((labels >= 0) & tf.math.is_finite(labels))


def _are_one_hot(rows: tf.Tensor) -> tf.Tensor:
    """Returns whether every row holds zeros and at most a single one."""
    zero_or_one = tf.reduce_all((rows == 0) | (rows == 1))
    return zero_or_one & tf.reduce_all(tf.math.count_nonzero(rows, axis=1) <= 1)


def _largest_class(rows: tf.Tensor) -> tf.Tensor:
    """Returns the index of the largest entry of every row, or -1 for rows of zeros."""
    labeled = tf.reduce_max(rows, axis=1) > 0
    return tf.where(labeled, tf.argmax(rows, axis=1), tf.constant(UNLABELED, tf.int64))


def require_numbers(rows: tf.Tensor) -> None:
    """Raises `ValueError` unless the dtype of labels is a number or a boolean."""
    if not (rows.dtype.is_integer or rows.dtype.is_floating or rows.dtype.is_bool):
        raise ValueError(f"Rows of `y_true` must be numbers. Received: dtype={rows.dtype.name}")


def _ensure(valid: tf.Tensor, labels: tf.Tensor, message: str) -> tf.Tensor:
    """Returns valid labels. Raises an error for invalid labels, in a graph when it runs."""
    if tf.executing_eagerly():
        if not valid:
            raise ValueError(f"{message} Received: y_true={labels.numpy()}")
        return labels
    check = tf.debugging.Assert(valid, [message, "Received:", labels])
    with tf.control_dependencies([check]):
        return tf.identity(labels)
