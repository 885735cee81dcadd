"""Classification by the most similar training rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import class_ids, matrix, require_count
from supcon_tf.evaluation.nearest import nearest


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

    Rows are compared in tiles of bounded size, on the accelerator if there is one. Of classes with
    the same votes the smallest id wins.

    Reference: Wu et al., 2018, section 3.4 (https://arxiv.org/abs/1805.01978).

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
        >>> evaluation.knn_predict(train, [4, 4, 7], [[0.1, 2.0], [3.0, 0.2]], k=2).tolist()
        [7, 4]

    Args:
        train_features: `[train, dim]` numbers of any length; only their direction counts.
        train_labels: `[train]` or `[train, 1]` integer class ids, none of them -1.
        features: `[rows, dim]`.
        k: how many neighbors vote.
        temperature: how fast the weight of a vote falls with the similarity; `math.inf` for equal
            votes.

    Returns:
        `[rows]` int64 class ids.

    Raises:
        ValueError: if shapes, labels or numbers are not as above, or `k` is above `train`.
    """
    train_features = matrix("train_features", train_features)
    features = matrix("features", features)
    if features.shape[1] != train_features.shape[1]:
        raise ValueError(
            "`features` must have as many columns as `train_features`. "
            f"Received: {features.shape[1]} and {train_features.shape[1]}"
        )
    train_labels = class_ids("train_labels", train_labels, len(train_features))
    require_count("k", k, most=len(train_features))
    if not temperature > 0:
        raise ValueError(f"`temperature` must be above 0. Received: {temperature!r}")
    classes, positions = np.unique(train_labels, return_inverse=True)
    predictions = []
    for similarities, neighbors in nearest(features, train_features, k):
        # A common factor of a row's votes changes nothing, and here keeps them from overflowing.
        weights = np.exp((similarities - similarities[:, :1]).astype(np.float64) / temperature)
        rows = np.arange(len(weights))[:, None]
        slots = rows * len(classes) + positions[neighbors]
        votes = np.bincount(slots.ravel(), weights.ravel(), minlength=len(rows) * len(classes))
        predictions.append(classes[votes.reshape(len(rows), -1).argmax(axis=1)])
    return np.concatenate(predictions)


def knn_accuracy(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    k: int = 200,
    temperature: float = 0.07,
) -> float:
    """The fraction of rows whose class `knn_predict` finds.

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
        >>> evaluation.knn_accuracy(train, [4, 4, 7], [[0.1, 2.0], [3.0, 0.2]], [7, 7], k=2)
        0.5

    Args:
        train_features: as of `knn_predict`.
        train_labels: as of `knn_predict`.
        features: as of `knn_predict`.
        labels: `[rows]` or `[rows, 1]` integer class ids, none of them -1.
        k: as of `knn_predict`.
        temperature: as of `knn_predict`.

    Returns:
        The accuracy, from 0 to 1.

    Raises:
        ValueError: as `knn_predict` does.
    """
    features = matrix("features", features)
    labels = class_ids("labels", labels, len(features))
    predictions = knn_predict(train_features, train_labels, features, k=k, temperature=temperature)
    return float(np.mean(predictions == labels))
