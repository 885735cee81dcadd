"""Checks of the arguments of the evaluation functions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_integer
from supcon_tf.labels import UNLABELED


def check_matrix(argument: str, values: ArrayLike) -> NDArray[Any]:
    """Returns an argument as a float32 array, or float64 if its dtype exceeds float32.

    Raises:
        ValueError: if the argument is not a `[rows, columns]` array of finite real numbers, with at
            least one row and one column.
    """
    values = np.asarray(values)
    # `np.issubdtype` does not know bfloat16 and the other dtypes of ml_dtypes.
    real = np.can_cast(values.dtype, np.float64)
    if values.ndim != 2 or not values.size or not real:
        raise ValueError(
            f"`{argument}` must be numbers of shape [rows, columns], with at least one row and one "
            f"column. Received: shape={values.shape}, dtype={values.dtype}"
        )
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"`{argument}` must be finite. Received: NaN or infinity in {np.sum(~finite)} of "
            f"{len(values)} rows"
        )
    return values


def check_class_ids(argument: str, labels: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Returns labels as an int64 array `[rows]`.

    Raises:
        ValueError: if the labels are not one integer per row, or a row is unlabeled.
    """
    labels = np.asarray(labels)
    if labels.shape not in ((rows,), (rows, 1)) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{argument}` must be integer class ids, one for each of {rows} rows. "
            f"Received: shape={labels.shape}, dtype={labels.dtype}"
        )
    if UNLABELED in labels:
        raise ValueError(
            f"`{argument}` must not contain {UNLABELED}, the id of unlabeled rows. Remove these "
            f"rows. Received: {np.sum(labels == UNLABELED)} unlabeled rows"
        )
    return labels.reshape(rows).astype(np.int64)


def check_class_range(argument: str, ids: NDArray[np.int64], num_classes: int) -> None:
    """Raises `ValueError` unless all class ids are from 0 to `num_classes - 1`."""
    if ids.min() < 0 or ids.max() >= num_classes:
        raise ValueError(
            f"`{argument}` must be from 0 to {num_classes - 1} for {num_classes} classes. "
            f"Received: ids from {ids.min()} to {ids.max()}"
        )


def check_num_neighbors(k: Any, limit: int) -> None:
    """Raises `ValueError` unless `k` is an integer from 1 to the number of candidates."""
    if check_integer("k", k) > limit:
        raise ValueError(
            f"`k` must be at most {limit}, the number of rows to choose from. Received: {k!r}"
        )
