"""The ranks of the relevant rows of queries: those of the class of the query."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf.evaluation.nearest import nearest_neighbors, similarity_factors
from supcon_tf.similarity.dot import inner_products

# Whole rows of similarities are computed in blocks of about this many numbers: 256 MB of float32.
_BLOCK_NUMBERS = 64_000_000
# Columns of similarities that are computed at a time.
_BLOCK_COLUMNS = 65_536


def ranks_of_nearest(
    queries: NDArray[Any],
    query_labels: NDArray[np.int64],
    gallery: NDArray[Any],
    gallery_labels: NDArray[np.int64],
    depth: int,
    distance: str,
    exclude_self: bool,
) -> Iterator[NDArray[np.int64]]:
    """Yields the ranks of the relevant rows among the nearest rows of each query.

    Args:
        queries: `[queries, dim]`.
        query_labels: `[queries]` class ids.
        gallery: `[rows, dim]` rows to retrieve.
        gallery_labels: `[rows]` class ids.
        depth: number of nearest rows.
        distance: one of `nearest.DISTANCES`.
        exclude_self: whether the gallery are the queries, and a query does not retrieve itself.

    Yields:
        For each query, the ranks of relevant rows from 1 to `depth`, in ascending order.
    """
    first = 0
    for _, neighbors in nearest_neighbors(
        queries, gallery, depth, exclude_self=exclude_self, distance=distance
    ):
        relevant = gallery_labels[neighbors] == query_labels[first : first + len(neighbors), None]
        first += len(neighbors)
        yield from (1 + np.flatnonzero(row) for row in relevant)


def ranks_of_all(
    queries: NDArray[Any],
    query_labels: NDArray[np.int64],
    gallery: NDArray[Any],
    gallery_labels: NDArray[np.int64],
    distance: str,
    exclude_self: bool,
) -> Iterator[NDArray[np.int64]]:
    """Yields the ranks of all relevant rows of each query, as `ranks_of_nearest`.

    All similarities of a query are sorted. Among rows of the same similarity, relevant ones come
    first.
    """
    of_queries, of_references = similarity_factors(gallery, distance)
    by_class = np.argsort(gallery_labels, kind="stable")
    sorted_labels = gallery_labels[by_class]
    block_rows = max(1, _BLOCK_NUMBERS // len(gallery))
    for first in range(0, len(queries), block_rows):
        rows = of_queries(queries[first : first + block_rows])
        similarities = np.empty([rows.shape[0], len(gallery)], np.float32)
        for start in range(0, len(gallery), _BLOCK_COLUMNS):
            columns = slice(start, start + _BLOCK_COLUMNS)
            similarities[:, columns] = inner_products(rows, of_references(gallery[columns]))
        if exclude_self:
            own = np.arange(len(similarities))
            similarities[own, first + own] = -np.inf
        for query, row in enumerate(similarities, first):
            start, end = np.searchsorted(
                sorted_labels, [query_labels[query], query_labels[query] + 1]
            )
            relevant = by_class[start:end]
            if exclude_self:
                relevant = relevant[relevant != query]
            yield _ranks(row, relevant)


def _ranks(similarities: NDArray[np.float32], relevant: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the ranks of some columns of a row of similarities, in ascending order."""
    descending = -np.sort(-similarities[relevant])
    num_higher = len(similarities) - np.searchsorted(np.sort(similarities), descending, "right")
    num_higher_relevant = np.searchsorted(-descending, -descending, "left")
    return num_higher + np.arange(1, len(relevant) + 1) - num_higher_relevant
