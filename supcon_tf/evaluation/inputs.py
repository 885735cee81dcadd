"""What the evaluation demands of its arguments."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_integer
from supcon_tf.labels import UNLABELED


def matrix(argument: str, values: ArrayLike) -> NDArray[Any]:
    """Returns an argument as an array of float32, or of float64 where float32 is too narrow.

    Raises:
        ValueError: if it is not numbers `[rows, columns]` with at least one of each, all
            finite.
    """
    values = np.asarray(values)
    # Not `np.issubdtype`, which does not know bfloat16 and the other types of ml_dtypes.
    real = np.can_cast(values.dtype, np.float64)
    if values.ndim != 2 or not values.size or not real:
        raise ValueError(
            f"`{argument}` must be numbers of shape [rows, columns], one of each at least. "
            f"Received: shape={values.shape}, dtype={values.dtype}"
        )
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"`{argument}` must be finite. Received: NaN or infinity in {np.sum(~finite)} of "
            f"{len(values)} rows"
        )
    return values


def class_ids(argument: str, labels: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Returns labels as an array `[rows]` of int64.

    Raises:
        ValueError: if they are not as many integers, or one of them is the id of unlabeled rows.
    """
    labels = np.asarray(labels)
    if labels.shape not in ((rows,), (rows, 1)) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{argument}` must be integer class ids, one for each of {rows} rows. "
            f"Received: shape={labels.shape}, dtype={labels.dtype}"
        )
    if UNLABELED in labels:
        raise ValueError(
            f"`{argument}` must not hold {UNLABELED}, which means unlabeled; leave such rows "
            f"out. Received: {np.sum(labels == UNLABELED)} of them"
        )
    return labels.reshape(rows).astype(np.int64)


def require_column(argument: str, ids: NDArray[np.int64], columns: int) -> None:
    """Raises `ValueError` if class ids are not positions among so many columns."""
    if ids.min() < 0 or ids.max() >= columns:
        raise ValueError(
            f"`{argument}` must be from 0 to {columns - 1}, as there are {columns} classes. "
            f"Received: ids from {ids.min()} to {ids.max()}"
        )


def require_count(argument: str, value: Any, most: int | None = None) -> None:
    """Raises `ValueError` if the value of an argument is not an integer from 1 to `most`."""
    if check_integer(argument, value) > (value if most is None else most):
        raise ValueError(
            f"`{argument}` must be at most {most}, as many rows as there are to choose from. "
            f"Received: {value!r}"
        )
