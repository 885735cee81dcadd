"""Programs that find the most similar rows of an index."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf._requirements import require_extra
from supcon_tf.evaluation.nearest import nearest_neighbors

_Neighbors = tuple[NDArray[np.float32], NDArray[np.int64]]

# Finds the `k` nearest rows of each query: similarities in descending order, and positions.
Search = Callable[[NDArray[np.float32], int], _Neighbors]


def exact_search(rows: NDArray[np.float32]) -> Search:
    """Returns a search that compares each query with all rows, in tiles."""

    def search(queries: NDArray[np.float32], k: int) -> _Neighbors:
        similarities, positions = zip(*nearest_neighbors(queries, rows, k), strict=True)
        return np.concatenate(similarities), np.concatenate(positions).astype(np.int64)

    return search


def faiss_search(rows: NDArray[np.float32]) -> Search:
    """Returns a search that compares each query with all rows, with `IndexFlatIP` of faiss."""
    index = import_faiss().IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index.search


def hnswlib_search(rows: NDArray[np.float32]) -> Search:
    """Returns a search in a graph of neighbors, which can miss some."""
    index = import_hnswlib().Index(space="ip", dim=rows.shape[1])
    index.init_index(max_elements=len(rows), ef_construction=200, M=16, random_seed=0)
    index.add_items(rows)

    def search(queries: NDArray[np.float32], k: int) -> _Neighbors:
        # The length of the list of candidates: a longer one misses fewer neighbors.
        index.set_ef(max(100, 2 * k))
        positions, distances = index.knn_query(queries, k)
        return 1 - distances, positions.astype(np.int64)

    return search


def import_faiss() -> Any:
    """Imports faiss.

    Raises:
        ImportError: if it is not installed.
    """
    with require_extra('Index(backend="faiss")', "faiss-cpu", "faiss"):
        import faiss
    return faiss


def import_hnswlib() -> Any:
    """Imports hnswlib.

    Raises:
        ImportError: if it is not installed.
    """
    with require_extra('Index(backend="hnswlib")', "hnswlib", "hnswlib"):
        import hnswlib
    return hnswlib
