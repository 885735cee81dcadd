"""Retrieval: whether the rows most similar to a query are of its class.

Every row is a query that retrieves from all other rows. A row without another row of its class is
not a query, but other queries can retrieve it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import check_class_ids, check_matrix, check_num_neighbors
from supcon_tf.evaluation.nearest import nearest_neighbors


def recall_at_k(features: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    r"""Computes Recall@K: the fraction of queries with a row of their class among the nearest `k`.

    $$\frac{1}{Q} \sum_q [\exists\, i \in N_k(q): y_i = y_q]$$

    Reference: Oh Song et al., 2016 (https://arxiv.org/abs/1511.06452).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.recall_at_k(features, [0, 0, 1, 1], k=1)
        0.75

    Args:
        features: `[rows, dim]` rows of any norm, compared by cosine similarity.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1.
        k: number of retrieved rows.

    Returns:
        The recall, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described, `k` is not below `rows`, or no class has two
            rows.
    """
    features, labels, num_relevant = _check_rows(features, labels)
    check_num_neighbors(k, len(features) - 1)
    found = [relevant.any(axis=1) for relevant in _relevant(features, labels, k)]
    return float(np.mean(np.concatenate(found)[num_relevant > 0]))


def map_at_r(features: ArrayLike, labels: ArrayLike) -> float:
    r"""Computes MAP@R: mean average precision at R, the number of relevant rows of the query.

    $$\frac{1}{Q} \sum_q \frac{1}{R_q} \sum_{i=1}^{R_q} P_q(i) \, [y_{q,i} = y_q]$$

    where $R_q$ is the number of other rows of the query's class, $P_q(i)$ the fraction of this
    class among the `i` most similar other rows, and $y_{q,i}$ the class of the row at rank `i`. The
    value is 1 if all rows of the query's class rank first.

    Reference: Musgrave et al., 2020, section 3.2 (https://arxiv.org/abs/2003.08505).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.map_at_r(features, [0, 0, 1, 1])
        0.75

    Args:
        features: as in `recall_at_k`.
        labels: as in `recall_at_k`.

    Returns:
        The mean over all queries, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described, or no class has two rows.
    """
    features, labels, num_relevant = _check_rows(features, labels)
    ranks = np.arange(1, num_relevant.max() + 1)
    total, first = 0.0, 0
    for relevant in _relevant(features, labels, len(ranks)):
        r = num_relevant[first : first + len(relevant), None]
        first += len(relevant)
        precisions = np.cumsum(relevant, axis=1) / ranks
        counted = relevant & (ranks <= r)
        total += np.sum(np.sum(precisions, axis=1, where=counted) / np.maximum(r[:, 0], 1))
    return float(total / np.sum(num_relevant > 0))


def _check_rows(
    features: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Returns features and labels as arrays, and the number of other rows of each row's class."""
    features = check_matrix("features", features)
    labels = check_class_ids("labels", labels, len(features))
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    num_relevant = counts[positions] - 1
    if not num_relevant.any():
        raise ValueError(
            "`labels` must hold a class of at least two rows. "
            f"Received: {len(labels)} rows of {len(counts)} classes"
        )
    return features, labels, num_relevant


def _relevant(
    features: NDArray[Any], labels: NDArray[np.int64], k: int
) -> Iterator[NDArray[np.bool_]]:
    """Yields for blocks of queries whether each retrieved row is of the query's class.

    Yields:
        `[block, k]` booleans, the most similar row first.
    """
    first = 0
    for _, neighbors in nearest_neighbors(features, features, k, exclude_self=True):
        yield labels[neighbors] == labels[first : first + len(neighbors), None]
        first += len(neighbors)
