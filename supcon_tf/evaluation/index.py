"""An index of embeddings, which finds the ones that are most similar to queries."""

import os
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_choice, check_probability
from supcon_tf._files import write_arrays
from supcon_tf.evaluation.inputs import check_class_ids, check_matrix, check_num_neighbors
from supcon_tf.evaluation.search_backends import (
    Search,
    exact_search,
    faiss_search,
    hnswlib_search,
    import_faiss,
    import_hnswlib,
)
from supcon_tf.evaluation.unit_length import to_unit_length
from supcon_tf.labels import UNLABELED

_BACKENDS: dict[str, Callable[[NDArray[np.float32]], Search]] = {
    "exact": exact_search,
    "faiss": faiss_search,
    "hnswlib": hnswlib_search,
}
_PACKAGES = {"faiss": import_faiss, "hnswlib": import_hnswlib}

# Errors of NumPy for other files: a single array has neither a context nor keys.
_NOT_AN_INDEX = (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError)


class SearchResult(NamedTuple):
    """Result of `Index.search`: for each query, its nearest rows, the most similar one first.

    Examples:
        >>> from supcon_tf import evaluation
        >>> index = evaluation.Index()
        >>> index.add([[1.0, 0.0], [0.0, 1.0]])
        >>> similarities, positions, labels = index.search([[3.0, 0.0]], k=2)
        >>> positions.tolist(), labels
        ([[0, 1]], None)

    Attributes:
        similarities: `[queries, k]` float32 cosine similarities.
        positions: `[queries, k]` int64, the numbers of the rows in the order of `Index.add`, from
            0.
        labels: `[queries, k]` int64 labels of the rows, or `None` for an index without labels.
    """

    similarities: NDArray[np.float32]
    positions: NDArray[np.int64]
    labels: NDArray[np.int64] | None


class Calibration(NamedTuple):
    """Result of `Index.calibrate`.

    Examples:
        >>> from supcon_tf import evaluation
        >>> evaluation.Calibration(threshold=0.5, precision=1.0, recall=0.5, f1=2 / 3).recall
        0.5

    Attributes:
        threshold: the lowest cosine similarity of a match.
        precision: the fraction of the matched queries whose match has their label.
        recall: the fraction of the queries with a label of the index whose match has their label.
        f1: the harmonic mean of precision and recall.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


class Index:
    r"""Finds the embeddings that are most similar to queries.

    The similarity is the cosine. `search` returns the nearest rows, and `match` the label of the
    nearest row if it is similar enough. `calibrate` determines what is enough.

    The backend `"exact"` compares all pairs in tiles, on the accelerator if one is available.
    `"faiss"` compares all pairs with the package faiss (`pip install "supcon-tf[faiss]"`), and has
    the same results. `"hnswlib"` searches in a graph (Malkov and Yashunin, 2018,
    https://arxiv.org/abs/1603.09320), which is faster for many rows, but can miss neighbors
    (`pip install "supcon-tf[hnswlib]"`). With both packages, the embeddings are in memory twice,
    and the first search after a call of `add` or `load` builds the index of the package.

    Examples:
        >>> from supcon_tf import evaluation
        >>> index = evaluation.Index()
        >>> index.add([[1.0, 0.0], [0.0, 2.0]], labels=[4, 7])
        >>> index.search([[0.1, 1.0]], k=1).labels.tolist()
        [[7]]
        >>> index.calibrate([[1.0, 0.1], [0.2, 1.0], [1.0, 1.1]], [4, 7, 4], precision=1.0).recall
        0.6666666666666666
        >>> index.match([[0.0, 3.0], [-1.0, 0.0]]).tolist()
        [7, -1]

    Args:
        backend: `"exact"`, `"faiss"` or `"hnswlib"`.

    Attributes:
        calibration: the result of the last `calibrate`, or `None`.

    Raises:
        ValueError: if `backend` is not one of these.
        ImportError: if its package is not installed.
    """

    def __init__(self, *, backend: str = "exact"):
        self.backend = check_choice("backend", backend, tuple(_BACKENDS))
        if backend in _PACKAGES:
            _PACKAGES[backend]()
        self.calibration: Calibration | None = None
        self._parts: list[NDArray[np.float32]] = []
        self._labels: list[NDArray[np.int64]] = []
        self._search: Search | None = None

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, embeddings: ArrayLike, labels: ArrayLike | None = None) -> None:
        """Adds rows behind the present ones.

        Args:
            embeddings: `[rows, dim]` of any norm; only their direction matters.
            labels: `[rows]` or `[rows, 1]` integers, class ids or any other numbers but -1. An
                index has labels for all rows or for none.

        Raises:
            ValueError: if an argument is not as described.
        """
        rows = check_matrix("embeddings", embeddings)
        if self._parts:
            self._check_dim("embeddings", rows)
            if (labels is None) != (not self._labels):
                given, present = ("with", "without") if labels is not None else ("without", "with")
                raise ValueError(
                    "`labels` must be given for all rows of an index or for none. "
                    f"Received: rows {given} labels after rows {present} labels"
                )
        if labels is not None:
            self._labels.append(check_class_ids("labels", labels, len(rows)))
        self._parts.append(to_unit_length(rows, np.float32))
        self._search = None

    def search(self, queries: ArrayLike, k: int = 10) -> SearchResult:
        """Finds the `k` rows that are most similar to each query.

        Args:
            queries: `[queries, dim]` of any norm.
            k: number of rows.

        Raises:
            ValueError: if an argument is not as described, or `k` exceeds the number of rows.
        """
        queries = check_matrix("queries", queries)
        check_num_neighbors(k, len(self))
        self._check_dim("queries", queries)
        if self._search is None:
            self._search = _BACKENDS[self.backend](self._join())
        similarities, positions = self._search(to_unit_length(queries, np.float32), k)
        labels = np.concatenate(self._labels)[positions] if self._labels else None
        return SearchResult(similarities, positions, labels)

    def calibrate(self, queries: ArrayLike, labels: ArrayLike, *, precision: float) -> Calibration:
        r"""Finds the lowest threshold with a wanted precision, for `match`.

        The nearest row matches a query if their similarity is at least the threshold. Among $Q$
        queries whose label is in the index, and others, let $m$ be the number of matched queries
        and $t$ the number of those whose match has their label:

        $$\mathrm{precision} = \frac{t}{m}, \quad \mathrm{recall} = \frac{t}{Q}, \quad
        F_1 = \frac{2 \cdot \mathrm{precision} \cdot \mathrm{recall}}
        {\mathrm{precision} + \mathrm{recall}}$$

        Queries with labels that are not in the index lower the precision. Include some if `match`
        will receive such queries. The queries must not be rows of the index.

        Args:
            queries: `[queries, dim]` of any norm.
            labels: `[queries]` or `[queries, 1]` integers, none of them -1.
            precision: the wanted precision, from 0 to 1.

        Returns:
            The threshold and its precision, recall and F1. Of all thresholds with the wanted
            precision, the recall of this one is the highest.

        Raises:
            ValueError: if an argument is not as described, the index has no labels, no query has a
                label of the index, or no threshold has the wanted precision.
        """
        check_probability("precision", precision)
        queries = check_matrix("queries", queries)
        labels = check_class_ids("labels", labels, len(queries))
        similarities, found = self._nearest(queries)
        num_known = np.isin(labels, np.concatenate(self._labels)).sum()
        if not num_known:
            raise ValueError("`labels` must have a label of the index. Received: none of them")
        order = np.argsort(-similarities, kind="stable")
        # All queries of one similarity are matched or none of them.
        is_last = np.append(np.diff(similarities[order]) != 0, True)
        num_matched = 1 + np.flatnonzero(is_last)
        num_true = np.cumsum((found == labels)[order])[is_last]
        precisions = num_true / num_matched
        reached = np.flatnonzero(precisions >= precision)
        if not len(reached):
            raise ValueError(
                f"`precision` must be at most {precisions.max():.4g}, the highest of all "
                f"thresholds. Received: {precision!r}"
            )
        i = reached[-1]
        self.calibration = Calibration(
            float(similarities[order][is_last][i]),
            float(precisions[i]),
            float(num_true[i] / num_known),
            float(2 * num_true[i] / (num_matched[i] + num_known)),
        )
        return self.calibration

    def match(self, queries: ArrayLike) -> NDArray[np.int64]:
        """Returns the label of the nearest row of each query that is similar enough.

        Args:
            queries: `[queries, dim]` of any norm.

        Returns:
            `[queries]` int64 labels, -1 if the similarity is below the calibrated threshold.

        Raises:
            ValueError: if `queries` is not as described, or the index is not calibrated.
        """
        if self.calibration is None:
            raise ValueError("`match` requires a call of `calibrate`. Received: no threshold")
        similarities, labels = self._nearest(queries)
        return np.where(similarities >= self.calibration.threshold, labels, UNLABELED)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the embeddings, the labels and the calibration to a file in the format npz.

        The file is written completely or not at all. It does not depend on the backend.

        Args:
            path: the file to create or to replace.

        Raises:
            ValueError: if the index has no rows.
            OSError: if the file cannot be written.
        """
        if not self._parts:
            raise ValueError("An index must have rows to be saved. Received: no rows")
        arrays: dict[str, Any] = {"embeddings": self._join()}
        if self._labels:
            arrays["labels"] = np.concatenate(self._labels)
        if self.calibration is not None:
            arrays["calibration"] = np.array(self.calibration)
        write_arrays(pathlib.Path(path), arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, backend: str = "exact") -> "Index":
        """Reads an index that `save` has written.

        Args:
            path: the file.
            backend: as in the constructor, whatever backend wrote the file.

        Raises:
            ValueError: if the file is not an index.
            FileNotFoundError: if it does not exist.
        """
        index = cls(backend=backend)
        try:
            with np.load(path) as arrays:
                index.add(arrays["embeddings"], arrays.get("labels"))
                if "calibration" in arrays:
                    index.calibration = Calibration(*arrays["calibration"].tolist())
        except _NOT_AN_INDEX as error:
            raise ValueError(
                f"`path` must be a file of `Index.save`. Received: {os.fspath(path)!r}, {error}"
            ) from error
        return index

    def _nearest(self, queries: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns the similarity and the label of the nearest row of each query."""
        result = self.search(queries, k=1)
        if result.labels is None:
            raise ValueError("The index must have labels. Received: rows without labels")
        return result.similarities[:, 0], result.labels[:, 0]

    def _join(self) -> NDArray[np.float32]:
        """Returns all rows, in memory once."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def _check_dim(self, argument: str, rows: NDArray[Any]) -> None:
        dim = self._parts[0].shape[1]
        if rows.shape[1] != dim:
            raise ValueError(
                f"`{argument}` must have {dim} columns, as the rows of the index. "
                f"Received: shape={rows.shape}"
            )
