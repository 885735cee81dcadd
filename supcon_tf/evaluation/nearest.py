"""Search for nearest neighbors in tiles, without all similarities in memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.similarity.dot import inner_products
from supcon_tf.similarity.normalization import l2_normalize

# Similarities are computed in tiles of this many rows and columns: 16 MB of float32.
_TILE_ROWS, _TILE_COLUMNS = 1024, 4096


def nearest_neighbors(
    queries: NDArray[Any], references: NDArray[Any], k: int, *, exclude_self: bool = False
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Finds the `k` references with the highest cosine similarity to each query.

    Only the best `k` of each tile are kept, so that memory does not grow with the number of queries
    or references. The similarity of a row of zeros to any row is 0. On any device, the similarities
    have the precision of float32.

    Args:
        queries: `[queries, dim]`.
        references: `[references, dim]`.
        k: number of neighbors, at most the number of references (minus 1 with `exclude_self`).
        exclude_self: whether the references are the queries, and a row is not its own neighbor.

    Yields:
        For each block of queries, their similarities `[block, k]` float32 in descending order, and
        the indices of the references `[block, k]` int32.
    """
    for first in range(0, len(queries), _TILE_ROWS):
        rows = _to_unit_length(queries[first : first + _TILE_ROWS])
        row_indices = tf.range(first, first + rows.shape[0])[:, None]
        best = tf.zeros([rows.shape[0], 0])
        best_indices = tf.zeros([rows.shape[0], 0], tf.int32)
        for start in range(0, len(references), _TILE_COLUMNS):
            columns = _to_unit_length(references[start : start + _TILE_COLUMNS])
            indices = tf.range(start, start + columns.shape[0]) + tf.zeros_like(row_indices)
            tile = inner_products(rows, columns)
            if exclude_self:
                tile = tf.where(indices == row_indices, -np.inf, tile)
            # With the best so far in front, `top_k` rejects most others at the first comparison.
            tile = tf.concat([best, tile], axis=1)
            indices = tf.concat([best_indices, indices], axis=1)
            best, order = tf.math.top_k(tile, min(k, tile.shape[1]))
            best_indices = tf.gather(indices, order, batch_dims=1)
        yield best.numpy(), best_indices.numpy()


def _to_unit_length(rows: NDArray[Any]) -> tf.Tensor:
    """Scales rows of float32 or float64 to unit length in float32; rows of zeros stay zero."""
    return tf.cast(l2_normalize(tf.convert_to_tensor(rows)), tf.float32)
