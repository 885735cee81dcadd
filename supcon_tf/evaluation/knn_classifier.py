"""k-nearest-neighbor classification."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import check_class_ids, check_matrix, check_num_neighbors
from supcon_tf.evaluation.nearest import nearest_neighbors


def knn_predict(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    features: ArrayLike,
    *,
    k: int = 200,
    temperature: float = 0.07,
) -> NDArray[np.int64]:
    r"""Predicts classes by a weighted vote of the `k` nearest training rows.

    $$\arg\max_c \sum_{i \in N_k(x)} \exp(\cos(f_i, f_x) / \tau) \, [y_i = c]$$

    Similarities are computed in tiles of bounded size, on the accelerator if one is available. In
    case of a tie the smallest class id wins.

    Reference: Wu et al., 2018, section 3.4 (https://arxiv.org/abs/1805.01978).

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
        >>> evaluation.knn_predict(train, [4, 4, 7], [[0.1, 2.0], [3.0, 0.2]], k=2).tolist()
        [7, 4]

    Args:
        train_features: `[train, dim]` rows of any norm; only their direction matters.
        train_labels: `[train]` or `[train, 1]` integer class ids, none of them -1.
        features: `[rows, dim]` rows to classify, of any norm.
        k: number of neighbors that vote.
        temperature: $\tau$, positive. Lower values give more weight to the most similar rows;
            `math.inf` gives every neighbor the same weight.

    Returns:
        `[rows]` int64 class ids.

    Raises:
        ValueError: if an argument is not as described, or `k` exceeds `train`.
    """
    train_features = check_matrix("train_features", train_features)
    features = check_matrix("features", features)
    if features.shape[1] != train_features.shape[1]:
        raise ValueError(
            "`features` must have as many columns as `train_features`. "
            f"Received: {features.shape[1]} and {train_features.shape[1]}"
        )
    train_labels = check_class_ids("train_labels", train_labels, len(train_features))
    check_num_neighbors(k, len(train_features))
    if not temperature > 0:
        raise ValueError(f"`temperature` must be positive. Received: {temperature!r}")
    classes, positions = np.unique(train_labels, return_inverse=True)
    neighbors = nearest_neighbors(features, train_features, k)
    votes = vote(neighbors, positions, len(classes), temperature)
    return np.concatenate([classes[block.argmax(axis=1)] for block in votes])


def vote(
    neighbors: Iterable[tuple[NDArray[np.float32], NDArray[np.int32]]],
    positions: NDArray[np.int64],
    num_classes: int,
    temperature: float,
) -> Iterator[NDArray[np.float64]]:
    """Yields the votes of the neighbors of each block of rows for the classes.

    Args:
        neighbors: blocks of similarities and indices, as from `nearest_neighbors`.
        positions: `[train]` positions of the classes of the training rows, from 0.
        num_classes: the number of classes.
        temperature: as in `knn_predict`.

    Yields:
        `[block, classes]` sums of weights, relative to the largest weight of a row.
    """
    for similarities, indices in neighbors:
        # Dividing the votes of a row by the largest one prevents overflow and changes no result.
        weights = np.exp((similarities - similarities[:, :1]).astype(np.float64) / temperature)
        rows = np.arange(len(weights))[:, None]
        slots = rows * num_classes + positions[indices]
        votes = np.bincount(slots.ravel(), weights.ravel(), minlength=len(rows) * num_classes)
        yield votes.reshape(len(rows), num_classes).astype(np.float64)


def knn_accuracy(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 200,
    temperature: float = 0.07,
) -> float:
    """Computes the accuracy of `knn_predict`.

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
        >>> evaluation.knn_accuracy(train, [4, 4, 7], [[0.1, 2.0], [3.0, 0.2]], [7, 7], k=2)
        0.5

    Args:
        train_features: as in `knn_predict`.
        train_labels: as in `knn_predict`.
        features: as in `knn_predict`.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1.
        k: as in `knn_predict`.
        temperature: as in `knn_predict`.

    Returns:
        The accuracy, from 0 to 1.

    Raises:
        ValueError: if an argument of `knn_predict` or `labels` is not as described.
    """
    features = check_matrix("features", features)
    labels = check_class_ids("labels", labels, len(features))
    predictions = knn_predict(train_features, train_labels, features, k=k, temperature=temperature)
    return float(np.mean(predictions == labels))
