"""Search for nearest neighbors in tiles, without all similarities in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.similarity.dot import inner_products
from supcon_tf.similarity.normalization import l2_normalize

# Similarities are computed in tiles of this many rows and columns: 16 MB of float32.
_TILE_ROWS, _TILE_COLUMNS = 1024, 4096

# Cosine similarity, or the negative squared Euclidean distance.
DISTANCES = ("cosine", "euclidean")

Factors = Callable[[NDArray[Any]], tf.Tensor]


def nearest_neighbors(
    queries: NDArray[Any],
    references: NDArray[Any],
    k: int,
    *,
    exclude_self: bool = False,
    distance: str = "cosine",
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Finds the `k` references with the highest similarity to each query.

    Only the best `k` of each tile are kept, so that memory does not grow with the number of queries
    or references. The similarity of a row of zeros to any row is 0. On any device, the similarities
    have the precision of float32.

    Args:
        queries: `[queries, dim]`.
        references: `[references, dim]`.
        k: number of neighbors, at most the number of references (minus 1 with `exclude_self`).
        exclude_self: whether the references are the queries, and a row is not its own neighbor.
        distance: `"cosine"` for cosine similarity, `"euclidean"` for the negative squared distance.

    Yields:
        For each block of queries, their similarities `[block, k]` float32 in descending order, and
        the indices of the references `[block, k]` int32.
    """
    of_queries, of_references = similarity_factors(references, distance)
    for first in range(0, len(queries), _TILE_ROWS):
        rows = of_queries(queries[first : first + _TILE_ROWS])
        row_indices = tf.range(first, first + rows.shape[0])[:, None]
        best = tf.zeros([rows.shape[0], 0])
        best_indices = tf.zeros([rows.shape[0], 0], tf.int32)
        for start in range(0, len(references), _TILE_COLUMNS):
            columns = of_references(references[start : start + _TILE_COLUMNS])
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


def similarity_factors(references: NDArray[Any], distance: str) -> tuple[Factors, Factors]:
    r"""Returns functions of queries and of references whose inner products are the similarities.

    For the Euclidean distance, $-|q - r|^2 = 2 q \cdot r - |r|^2 - |q|^2$ is an inner product of
    rows with two more columns. The mean of the references is subtracted from both sides, so that
    large means do not cancel.
    """
    if distance == "cosine":
        return _to_unit_length, _to_unit_length
    center = np.mean(references, axis=0, dtype=np.float64)

    def of_queries(rows: NDArray[Any]) -> tf.Tensor:
        x = tf.constant(rows - center, tf.float32)
        return tf.concat([2 * x, tf.ones_like(x[:, :1]), -_squared_lengths(x)], axis=1)

    def of_references(rows: NDArray[Any]) -> tf.Tensor:
        x = tf.constant(rows - center, tf.float32)
        return tf.concat([x, -_squared_lengths(x), tf.ones_like(x[:, :1])], axis=1)

    return of_queries, of_references


def _squared_lengths(rows: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(rows), axis=1, keepdims=True)


def _to_unit_length(rows: NDArray[Any]) -> tf.Tensor:
    """Scales rows of float32 or float64 to unit length in float32; rows of zeros stay zero."""
    return tf.cast(l2_normalize(tf.convert_to_tensor(rows)), tf.float32)
