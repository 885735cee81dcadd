"""Rows of unit length, as NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Rows that are computed in float64 at a time.
_BLOCK_ROWS = 4096


def to_unit_length(rows: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Scales rows to unit length. Rows of zeros stay zero.

    Args:
        rows: `[rows, dim]` finite numbers.
        dtype: the dtype of the result.
    """
    scaled = np.empty(rows.shape, dtype)
    for first in range(0, len(rows), _BLOCK_ROWS):
        block = rows[first : first + _BLOCK_ROWS].astype(np.float64)
        # The squares of rows whose largest number is 1 neither overflow nor underflow.
        block /= _nonzero(np.abs(block).max(axis=1, keepdims=True))
        block /= _nonzero(np.linalg.norm(block, axis=1, keepdims=True))
        scaled[first : first + _BLOCK_ROWS] = block
    return scaled


def _nonzero(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(numbers == 0, 1, numbers)
