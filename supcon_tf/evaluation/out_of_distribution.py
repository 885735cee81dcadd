"""Detection of inputs that are not like the training data.

A higher score means that a row is more like the training data, as in the papers.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import check_class_ids, check_matrix, check_num_neighbors
from supcon_tf.evaluation.nearest import nearest_neighbors
from supcon_tf.evaluation.unit_length import to_unit_length

# Rows that are converted to float64 at a time.
_BLOCK_ROWS = 4096


def knn_ood_scores(
    train_features: ArrayLike, features: ArrayLike, *, k: int = 50
) -> NDArray[np.float64]:
    r"""Computes the negative distance to the `k`-th nearest training row.

    $$-\left| \frac{f}{|f|} - \frac{f_{(k)}}{|f_{(k)}|} \right|$$

    The labels of the training rows are not needed.

    Reference: Sun et al., 2022, section 3 (https://arxiv.org/abs/2204.06507). They use `k=50` for
    CIFAR-10, 200 for CIFAR-100 and 1000 for ImageNet, and train the encoder with SupCon.

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
        >>> evaluation.knn_ood_scores(train, [[1.0, 1.0], [-1.0, 0.0]], k=2).round(3).tolist()
        [-0.765, -2.0]

    Args:
        train_features: `[train, dim]` rows of any norm; only their direction matters.
        features: `[rows, dim]` rows to score, of any norm.
        k: rank of the training row whose distance counts.

    Returns:
        `[rows]` float64 scores, from -2 to 0.

    Raises:
        ValueError: if an argument is not as described, or `k` exceeds `train`.
    """
    train_features = check_matrix("train_features", train_features)
    features = _check_features(features, train_features)
    check_num_neighbors(k, len(train_features))
    indices = [block[:, -1] for _, block in nearest_neighbors(features, train_features, k)]
    neighbors = train_features[np.concatenate(indices)]
    # The distance of the rows themselves, since that of their similarity loses small distances.
    return np.concatenate(
        [
            -np.linalg.norm(to_unit_length(a, np.float64) - to_unit_length(b, np.float64), axis=1)
            for a, b in zip(_blocks(features), _blocks(neighbors), strict=True)
        ]
    )


def mahalanobis_ood_scores(
    train_features: ArrayLike, train_labels: ArrayLike, features: ArrayLike
) -> NDArray[np.float64]:
    r"""Computes the negative squared Mahalanobis distance to the nearest mean of a class.

    $$\max_c -(f - \mu_c)^T \Sigma^{-1} (f - \mu_c), \quad
    \Sigma = \frac{1}{N} \sum_i (f_i - \mu_{y_i}) (f_i - \mu_{y_i})^T$$

    All classes share the covariance $\Sigma$. Its pseudoinverse replaces the inverse, so directions
    in which no class varies are ignored.

    Reference: Lee et al., 2018, section 2.1 (https://arxiv.org/abs/1807.03888).

    Examples:
        >>> from supcon_tf import evaluation
        >>> train = [[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-2.0, 0.0]]
        >>> scores = evaluation.mahalanobis_ood_scores(train, [0] * 4, [[0.0, 0.0], [2.0, 2.0]])
        >>> scores.round(3).tolist()
        [-0.0, -10.0]

    Args:
        train_features: `[train, dim]`.
        train_labels: `[train]` or `[train, 1]` integer class ids, none of them -1.
        features: `[rows, dim]` rows to score.

    Returns:
        `[rows]` float64 scores, at most 0.

    Raises:
        ValueError: if an argument is not as described.
    """
    train_features = check_matrix("train_features", train_features)
    features = _check_features(features, train_features)
    labels = check_class_ids("train_labels", train_labels, len(train_features))
    classes, positions = np.unique(labels, return_inverse=True)
    means = np.stack([train_features[labels == c].mean(axis=0, dtype=np.float64) for c in classes])
    covariance = np.zeros([means.shape[1]] * 2)
    for rows, of_rows in zip(_blocks(train_features), _blocks(positions), strict=True):
        deviations = rows - means[of_rows]
        covariance += deviations.T @ deviations / len(train_features)
    whitening = _inverse_square_root(covariance)
    # Around the center, the squares of the products below cancel less.
    center = means.mean(axis=0)
    whitened_means = (means - center) @ whitening
    scores = []
    for rows in _blocks(features):
        whitened = (rows - center) @ whitening
        squared_distances = (
            np.sum(whitened**2, axis=1)[:, None]
            - 2 * whitened @ whitened_means.T
            + np.sum(whitened_means**2, axis=1)
        )
        scores.append(-np.maximum(squared_distances.min(axis=1), 0))
    return np.concatenate(scores)


def softmax_ood_scores(logits: ArrayLike) -> NDArray[np.float64]:
    r"""Computes the largest probability of a classifier.

    $$\max_c \frac{\exp z_c}{\sum_j \exp z_j}$$

    Reference: Hendrycks and Gimpel, 2017, section 2 (https://arxiv.org/abs/1610.02136).

    Examples:
        >>> from supcon_tf import evaluation
        >>> evaluation.softmax_ood_scores([[0.0, 0.0], [2.0, 0.0]]).round(3).tolist()
        [0.5, 0.881]

    Args:
        logits: `[rows, classes]`, not probabilities.

    Returns:
        `[rows]` float64 scores, from 0 to 1.

    Raises:
        ValueError: if `logits` is not as described.
    """
    logits = check_matrix("logits", logits)
    # In float32, more probabilities would round to 1, and their order would be lost.
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return 1 / np.exp(shifted).sum(axis=1)


def ood_metrics(in_scores: ArrayLike, out_scores: ArrayLike) -> dict[str, float]:
    r"""Measures how well scores separate two sets, for all thresholds.

    | name | value |
    |---|---|
    | `auroc` | the probability that a row of the first set scores higher; equal scores count half |
    | `aupr_in` | the average precision with the first set as positives |
    | `aupr_out` | the average precision with the second set as positives, of negative scores |
    | `fpr95` | the fraction of the second set at or above the score that 95 % of the first reach |

    The average precision is $\sum_n (R_n - R_{n-1}) P_n$ over all thresholds. The values equal
    `roc_auc_score`, `average_precision_score` and `roc_curve` of scikit-learn.

    References: Hendrycks and Gimpel, 2017 (https://arxiv.org/abs/1610.02136); Sun et al., 2022
    (https://arxiv.org/abs/2204.06507), for FPR95.

    Examples:
        >>> from supcon_tf import evaluation
        >>> metrics = evaluation.ood_metrics([0.9, 0.8, 0.4], [0.5, 0.1])
        >>> {name: round(value, 3) for name, value in metrics.items()}
        {'auroc': 0.833, 'aupr_in': 0.917, 'aupr_out': 0.833, 'fpr95': 0.5}

    Args:
        in_scores: `[rows]` scores of test rows like the training data.
        out_scores: `[rows]` scores of other rows.

    Returns:
        The values, from 0 to 1, by their names.

    Raises:
        ValueError: if an argument is not as described, or empty.
    """
    inside, outside = _check_scores("in_scores", in_scores), _check_scores("out_scores", out_scores)
    lower = np.searchsorted(outside, inside, "left") + np.searchsorted(outside, inside, "right")
    threshold = inside[len(inside) - -(-95 * len(inside) // 100)]
    return {
        "auroc": float(lower.mean() / (2 * len(outside))),
        "aupr_in": _average_precision(inside, outside),
        "aupr_out": _average_precision(-outside[::-1], -inside[::-1]),
        "fpr95": float(np.mean(outside >= threshold)),
    }


def _check_features(features: ArrayLike, train_features: NDArray[Any]) -> NDArray[Any]:
    features = check_matrix("features", features)
    if features.shape[1] != train_features.shape[1]:
        raise ValueError(
            "`features` must have as many columns as `train_features`. "
            f"Received: {features.shape[1]} and {train_features.shape[1]}"
        )
    return features


def _check_scores(argument: str, scores: ArrayLike) -> NDArray[np.float64]:
    """Returns scores in ascending order."""
    scores = np.asarray(scores)
    if scores.ndim != 1:
        raise ValueError(f"`{argument}` must have the shape [rows]. Received: shape={scores.shape}")
    return np.sort(check_matrix(argument, scores[:, None])[:, 0].astype(np.float64))


def _average_precision(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """Computes the average precision of scores in ascending order."""
    num_positives = len(positives) - np.searchsorted(positives, positives, "left")
    num_negatives = len(negatives) - np.searchsorted(negatives, positives, "left")
    return float(np.mean(num_positives / (num_positives + num_negatives)))


def _inverse_square_root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns a matrix `w` of which `w @ w.T` is the pseudoinverse."""
    variances, directions = np.linalg.eigh(covariance)
    varies = variances > variances[-1] * len(variances) * np.finfo(np.float32).eps
    return directions[:, varies] / np.sqrt(variances[varies])


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (rows[first : first + _BLOCK_ROWS] for first in range(0, len(rows), _BLOCK_ROWS))
