"""Metrics averaged over classes, with the same weight for every class."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import check_class_ids, check_matrix


def mean_per_class_accuracy(predictions: ArrayLike, labels: ArrayLike) -> float:
    r"""Computes the mean over classes of the accuracy on the rows of each class.

    $$\frac{1}{C} \sum_{c=1}^{C} \frac{1}{n_c} \sum_{i: y_i = c} [\hat{y}_i = c]$$

    Reference: Kornblith et al., 2019, for Aircraft, Pets, Caltech-101 and Flowers
    (https://arxiv.org/abs/1805.08974).

    Examples:
        >>> from supcon_tf import evaluation
        >>> round(evaluation.mean_per_class_accuracy([0, 0, 1, 1], [0, 0, 0, 1]), 4)
        0.8333

    Args:
        predictions: `[rows]` or `[rows, 1]` integer class ids.
        labels: `[rows]` or `[rows, 1]` integer class ids, the ground truth. Classes without rows
            are not in the mean.

    Returns:
        The accuracy, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described or has no rows.
    """
    rows = np.size(predictions)
    if not rows:
        raise ValueError("`predictions` must have at least one row. Received: no rows")
    predictions = check_class_ids("predictions", predictions, rows)
    labels = check_class_ids("labels", labels, rows)
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(positions, predictions == labels) / counts))


def voc_mean_average_precision(
    scores: ArrayLike, targets: ArrayLike, difficult: ArrayLike | None = None
) -> float:
    r"""Computes the mean over classes of the 11-point average precision of VOC 2007.

    $$\frac{1}{11} \sum_{r \in \{0, 0.1, \dots, 1\}} \max_{\tilde{r} \ge r} p(\tilde{r})$$

    where $p(\tilde{r})$ is the precision at recall $\tilde{r}$. Rows with equal scores are
    retrieved together, so that their order has no effect.

    Reference: Everingham et al., 2010, section 4.2 (https://doi.org/10.1007/s11263-009-0275-4).

    Examples:
        >>> from supcon_tf import evaluation
        >>> scores = [[0.9], [0.8], [0.7], [0.1]]
        >>> round(evaluation.voc_mean_average_precision(scores, [[1], [0], [1], [0]]), 4)
        0.8485

    Args:
        scores: `[rows, classes]`; a higher score means a more likely class.
        targets: `[rows, classes]`, 1 if a row belongs to a class, 0 otherwise.
        difficult: `[rows, classes]`, `True` for rows that the metric of a class ignores; `None` to
            ignore none.

    Returns:
        The mean average precision, from 0 to 1.

    Raises:
        ValueError: if an argument is not as described, or a class has no row.
    """
    scores = check_matrix("scores", scores)
    targets = check_matrix("targets", targets)
    difficult = check_matrix(
        "difficult", np.zeros_like(targets) if difficult is None else difficult
    )
    if not scores.shape == targets.shape == difficult.shape:
        raise ValueError(
            "`scores`, `targets` and `difficult` must have the same shape. "
            f"Received: {scores.shape}, {targets.shape}, {difficult.shape}"
        )
    for argument, values in (("targets", targets), ("difficult", difficult)):
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"`{argument}` must be 0 or 1. "
                f"Received: numbers from {values.min()} to {values.max()}"
            )
    counted = difficult == 0
    empty = np.flatnonzero(~np.any((targets == 1) & counted, axis=0))
    if len(empty):
        raise ValueError(
            "`targets` must hold at least one row of every class, not counting difficult rows. "
            f"Received: no such row of the classes {empty.tolist()}"
        )
    return float(
        np.mean(
            [
                _average_precision(scores[rows, c], targets[rows, c] == 1)
                for c, rows in enumerate(counted.T)
            ]
        )
    )


def _average_precision(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Computes the 11-point interpolated average precision of one class."""
    order = np.argsort(-scores)
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    retrieved = 1 + np.flatnonzero(last_of_score)
    found = np.cumsum(positive[order])[last_of_score]
    # Recall is compared in integers, because floats round: 0.1 + 0.2 exceeds 0.3.
    reached = 10 * found >= np.arange(11)[:, None] * positive.sum()
    return float(np.mean(np.where(reached, found / retrieved, 0).max(axis=1)))
