"""Whether the rows that are most similar to a row are of its class.

Every row is a query among all others. Rows that are alone in their class have nothing to retrieve,
and are not queries; they are still retrieved, wrongly.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import class_ids, matrix, require_count
from supcon_tf.evaluation.nearest import nearest


def recall_at_k(features: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    r"""The fraction of rows with one of their class among the `k` most similar others.

    $$\frac{1}{Q} \sum_q [\exists\, i \in N_k(q): y_i = y_q]$$

    Reference: Oh Song et al., 2016 (https://arxiv.org/abs/1511.06452).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.recall_at_k(features, [0, 0, 1, 1], k=1)
        0.75

    Args:
        features: `[rows, dim]` numbers of any length; they are compared by cosine similarity.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1.
        k: how many rows are retrieved.

    Returns:
        The recall, from 0 to 1.

    Raises:
        ValueError: if shapes, labels or numbers are not as above, `k` is not below `rows`, or no
            class has two rows.
    """
    features, labels, others = _checked(features, labels)
    require_count("k", k, most=len(features) - 1)
    found = [relevant.any(axis=1) for relevant in _relevant(features, labels, k)]
    return float(np.mean(np.concatenate(found)[others > 0]))


def map_at_r(features: ArrayLike, labels: ArrayLike) -> float:
    r"""Mean average precision at R, R being the number of other rows of the query's class.

    $$\frac{1}{Q} \sum_q \frac{1}{R_q} \sum_{i=1}^{R_q} P_q(i) \, [y_{q,i} = y_q]$$

    where $P_q(i)$ is the fraction of the query's class among the `i` most similar others and
    $y_{q,i}$ the class of the one at place `i`. 1 if the others of the class come first.

    Reference: Musgrave et al., 2020, section 3.2 (https://arxiv.org/abs/2003.08505).

    Examples:
        >>> from supcon_tf import evaluation
        >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]
        >>> evaluation.map_at_r(features, [0, 0, 1, 1])
        0.75

    Args:
        features: as of `recall_at_k`.
        labels: as of `recall_at_k`.

    Returns:
        The mean over all rows with another one of their class, from 0 to 1.

    Raises:
        ValueError: as `recall_at_k` does.
    """
    features, labels, others = _checked(features, labels)
    ranks = np.arange(1, others.max() + 1)
    total, first = 0.0, 0
    for relevant in _relevant(features, labels, len(ranks)):
        most = others[first : first + len(relevant), None]
        first += len(relevant)
        precisions = np.cumsum(relevant, axis=1) / ranks
        counted = relevant & (ranks <= most)
        total += np.sum(np.sum(precisions, axis=1, where=counted) / np.maximum(most[:, 0], 1))
    return float(total / np.sum(others > 0))


def _checked(
    features: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Features and labels as arrays, and how many others of its class each row has."""
    features = matrix("features", features)
    labels = class_ids("labels", labels, len(features))
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others = counts[positions] - 1
    if not others.any():
        raise ValueError(
            "`labels` must hold a class of two rows at least. "
            f"Received: {len(labels)} rows of {len(counts)} classes"
        )
    return features, labels, others


def _relevant(
    features: NDArray[Any], labels: NDArray[np.int64], k: int
) -> Iterator[NDArray[np.bool_]]:
    """Whether retrieved rows are of the query's class, `[block, k]`, most similar first."""
    first = 0
    for _, neighbors in nearest(features, features, k, same=True):
        yield labels[neighbors] == labels[first : first + len(neighbors), None]
        first += len(neighbors)
