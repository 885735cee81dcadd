"""The most similar rows, without ever holding all similarities."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.similarity.normalization import l2_normalize

# Similarities are made in tiles of so many rows and columns: 16 MB of float32.
_ROWS, _COLUMNS = 1024, 4096


def nearest(
    queries: NDArray[Any], references: NDArray[Any], k: int, *, same: bool = False
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Finds the `k` references of the highest cosine similarity to each query.

    Only the best of each tile are kept, so memory grows with neither number of rows. A row of zeros
    has similarity 0 to all.

    Args:
        queries: `[queries, dim]`.
        references: `[references, dim]`.
        k: how many, at most the references there are (but one if they are the queries).
        same: whether the references are the queries, none of which then is its own neighbor.

    Yields:
        For one block of queries after the other, similarities `[block, k]` float32, falling, and
        positions of the references `[block, k]` int32.
    """
    for first in range(0, len(queries), _ROWS):
        rows = _unit(queries[first : first + _ROWS])
        row_ids = tf.range(first, first + rows.shape[0])[:, None]
        best = tf.zeros([rows.shape[0], 0])
        best_ids = tf.zeros([rows.shape[0], 0], tf.int32)
        for start in range(0, len(references), _COLUMNS):
            columns = _unit(references[start : start + _COLUMNS])
            ids = tf.range(start, start + columns.shape[0]) + tf.zeros_like(row_ids)
            tile = tf.matmul(rows, columns, transpose_b=True)
            if same:
                tile = tf.where(ids == row_ids, -np.inf, tile)
            # With the best so far in front, nearly all others fall at the first comparison.
            tile = tf.concat([best, tile], axis=1)
            ids = tf.concat([best_ids, ids], axis=1)
            best, order = tf.math.top_k(tile, min(k, tile.shape[1]))
            best_ids = tf.gather(ids, order, batch_dims=1)
        yield best.numpy(), best_ids.numpy()


def _unit(rows: NDArray[Any]) -> tf.Tensor:
    """Scales rows of float32 or float64 to unit length, in float32; rows of zeros stay."""
    return tf.cast(l2_normalize(tf.convert_to_tensor(rows)), tf.float32)
