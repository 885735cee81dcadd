"""The forms of labels that users have, turned into the one form that the losses compute with."""

from typing import Any

import tensorflow as tf

from supcon_tf._checks import check_integer

# Class id of a sample without a label: only its own other views are its positives.
UNLABELED = -1


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
            rows' values are checked when they are known: eagerly as a `ValueError`, in a graph as
            an `InvalidArgumentError` of the step. XLA drops that check: see `are_class_labels`.
    """
    labels = tf.convert_to_tensor(labels)
    columns = labels.shape[-1] if labels.shape.rank == 2 else None
    if labels.shape.rank not in (1, 2) or (labels.shape.rank == 2 and columns is None):
        raise ValueError(
            "`y_true` must hold class ids of shape [batch] or [batch, 1], or one-hot rows of shape "
            "[batch, classes] with a known number of classes; label distributions of each view "
            f"belong to GeneralizedSupConLoss. Received: shape={labels.shape}"
        )
    if labels.shape.rank == 1 or columns == 1:
        if not labels.dtype.is_integer:
            raise ValueError(
                "Class ids in `y_true` must be integers: cast floating point ids, which collide "
                "when they are large, to int64; number names with `np.unique(names, "
                "return_inverse=True)[1]`; or pass one-hot rows with two or more columns. "
                f"Received: dtype={labels.dtype.name}, shape={labels.shape}"
            )
        return tf.cast(tf.reshape(labels, [-1]), tf.int64)
    _require_numbers(labels)
    rows = labels if labels.dtype.is_floating else tf.cast(labels, tf.int64)
    checks = _require(
        _are_one_hot(rows),
        "Rows of `y_true` with two or more columns must be one-hot (a single 1) or all zero "
        "(no label); label distributions belong to GeneralizedSupConLoss.",
        rows,
    )
    with tf.control_dependencies(checks):
        labeled = tf.reduce_any(rows > 0, axis=1)
        return tf.where(labeled, tf.argmax(rows, axis=1), tf.constant(UNLABELED, tf.int64))


def label_distributions(labels: Any, views: int | tf.Tensor) -> tf.Tensor:
    """Turns label distributions into one row of labels per row of embeddings.

    Args:
        labels: non-negative numbers of any scale and numeric dtype: `[batch, classes]`, shared by
            the views of a sample, or `[batch, views, classes]`.
        views: number of views per sample.

    Returns:
        `[batch * views, classes]` float32, or float64 if `labels` are.

    Raises:
        ValueError: for another rank, or rows with negative or non-finite numbers. The rows' values
            are looked at when they are known, as in `class_ids`.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank not in (2, 3) or labels.shape[-1] is None or labels.shape[-1] < 2:
        raise ValueError(
            "`y_true` must hold label distributions of shape [batch, classes] or [batch, views, "
            "classes], with a known number of two or more classes; class ids belong to SupConLoss, "
            f"or become rows with tf.one_hot. Received: shape={labels.shape}"
        )
    _require_numbers(labels)
    if labels.dtype != tf.float64:
        labels = tf.cast(labels, tf.float32)
    checks = _require(
        are_distributions(labels),
        "Label distributions in `y_true` must be finite and not negative.",
        labels,
    )
    with tf.control_dependencies(checks):
        labels = tf.identity(labels)
    if labels.shape.rank == 2:
        return tf.repeat(labels, views, axis=0)
    if isinstance(views, int) and not labels.shape[1:2].is_compatible_with([views]):
        raise ValueError(
            "`y_true` of shape [batch, views, classes] must have as many views as `y_pred`. "
            f"Received: y_true.shape={labels.shape}, views={views}"
        )
    return tf.reshape(labels, [-1, labels.shape[-1]])


# XLA drops the checks above. Within it, these tell a loss that it has no value.


def are_class_labels(labels: tf.Tensor) -> tf.Tensor:
    """Tells whether labels of a shape that `class_ids` takes hold values that it takes."""
    if labels.shape.rank == 1 or labels.shape[1] == 1:
        return tf.constant(True)
    return _are_one_hot(labels if labels.dtype.is_floating else tf.cast(labels, tf.int64))


def are_distributions(labels: tf.Tensor) -> tf.Tensor:
    """Tells whether label distributions are finite and not negative."""
    if not labels.dtype.is_floating:
        labels = tf.cast(labels, tf.float32)
    return tf.reduce_all((labels >= 0) & tf.math.is_finite(labels))


def _are_one_hot(rows: tf.Tensor) -> tf.Tensor:
    """Tells whether every row holds zeros and at most a single one."""
    zero_or_one = tf.reduce_all((rows == 0) | (rows == 1))
    return zero_or_one & tf.reduce_all(tf.math.count_nonzero(rows, axis=1) <= 1)


def ids_below(labels: Any, num_classes: int) -> tf.Tensor:
    """Turns labels into class ids of a known number of classes.

    Args:
        labels: as of `class_ids`.
        num_classes: the number of classes.

    Returns:
        `[batch]` int64 class ids, -1 for samples without a label.

    Raises:
        ValueError: as `class_ids` does, or if an id is out of range, looked at as in `class_ids`.
    """
    ids = class_ids(labels)
    checks = _require(
        tf.reduce_all((ids >= UNLABELED) & (ids < num_classes)),
        f"Class ids must be from -1 (no label) and below `num_classes`={num_classes}.",
        ids,
    )
    with tf.control_dependencies(checks):
        return tf.identity(ids)


def label_rows(labels: Any, num_classes: int, label_smoothing: float = 0.0) -> tf.Tensor:
    r"""Turns class ids or label distributions into rows that can be mixed, smoothed if wanted.

    Smoothing makes $(1 - \epsilon) y + \epsilon |y|_1 / C$ of a row $y$ of $C$ classes. Its sum
    stays the same, and so does a row of zeros.

    Args:
        labels: integer class ids `[batch]` or `[batch, 1]` below `num_classes` (-1 marks a sample
            without a label), or non-negative rows `[batch, num_classes]` of any numeric dtype.
        num_classes: the number of classes C, at least 2.
        label_smoothing: epsilon, from 0 and below 1.

    Returns:
        `[batch, num_classes]` float32, or float64 if `labels` are; zero rows for samples without a
        label.

    Raises:
        ValueError: for an argument out of range, another rank, another number of columns, ids that
            are not integers or not in range, or rows with negative or non-finite numbers. Values
            are looked at as in `class_ids`.
    """
    require_rows_arguments(num_classes, label_smoothing)
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 1 or (labels.shape.rank == 2 and labels.shape[1] == 1):
        rows = tf.one_hot(ids_below(labels, num_classes), num_classes)
    elif labels.shape.rank == 2 and labels.shape[1] == num_classes:
        rows = label_distributions(labels, views=1)
    else:
        raise ValueError(
            "Labels must be class ids of shape [batch] or [batch, 1], or label distributions of "
            f"shape [batch, num_classes]. Received: shape={labels.shape}, num_classes={num_classes}"
        )
    if not label_smoothing:
        return rows
    total = tf.reduce_sum(rows, axis=1, keepdims=True)
    return (1 - label_smoothing) * rows + label_smoothing * total / num_classes


def require_rows_arguments(num_classes: Any, label_smoothing: Any) -> None:
    """Raises `ValueError` if arguments of `label_rows` are out of range."""
    check_integer("num_classes", num_classes, least=2)
    if not isinstance(label_smoothing, (int, float)) or not 0 <= label_smoothing < 1:
        raise ValueError(
            f"`label_smoothing` must be a number from 0 and below 1. Received: {label_smoothing!r}"
        )


def _require_numbers(rows: tf.Tensor) -> None:
    if not (rows.dtype.is_integer or rows.dtype.is_floating or rows.dtype.is_bool):
        raise ValueError(f"Rows of `y_true` must be numbers. Received: dtype={rows.dtype.name}")


def _require(valid: tf.Tensor, message: str, labels: tf.Tensor) -> list[tf.Operation]:
    """Raises eagerly; in a graph, returns the operations that will."""
    if tf.executing_eagerly():
        if not valid:
            raise ValueError(f"{message} Received: y_true={labels.numpy()}")
        return []
    return [tf.debugging.Assert(valid, [message, "Received:", labels])]
