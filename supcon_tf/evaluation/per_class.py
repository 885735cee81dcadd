"""Means over classes, in which each class counts the same, however many rows it has."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import class_ids, matrix


def mean_per_class_accuracy(predictions: ArrayLike, labels: ArrayLike) -> float:
    r"""The mean over classes of the accuracy on the rows of a class.

    $$\frac{1}{C} \sum_{c=1}^{C} \frac{1}{n_c} \sum_{i: y_i = c} [\hat{y}_i = c]$$

    Reference: Kornblith et al., 2019, for Aircraft, Pets, Caltech-101 and Flowers
    (https://arxiv.org/abs/1805.08974).

    Examples:
        >>> from supcon_tf import evaluation
        >>> round(evaluation.mean_per_class_accuracy([0, 0, 1, 1], [0, 0, 0, 1]), 4)
        0.8333

    Args:
        predictions: `[rows]` or `[rows, 1]` integer class ids.
        labels: the same, the truth; classes without rows do not count.

    Returns:
        The accuracy, from 0 to 1.

    Raises:
        ValueError: if shapes or labels are not as above, or there are no rows.
    """
    rows = np.size(predictions)
    if not rows:
        raise ValueError("`predictions` must have rows. Received: none")
    predictions = class_ids("predictions", predictions, rows)
    labels = class_ids("labels", labels, rows)
    _, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(positions, predictions == labels) / counts))


def voc_mean_average_precision(
    scores: ArrayLike, targets: ArrayLike, difficult: ArrayLike | None = None
) -> float:
    r"""The mean over classes of the 11-point interpolated average precision of VOC 2007.

    $$\frac{1}{11} \sum_{r \in \{0, 0.1, \dots, 1\}} \max_{\tilde{r} \ge r} p(\tilde{r})$$

    where $p(\tilde{r})$ is the precision at recall $\tilde{r}$. Rows of the same score are taken
    together, so that their order does not matter.

    Reference: Everingham et al., 2010, section 4.2 (https://doi.org/10.1007/s11263-009-0275-4).

    Examples:
        >>> from supcon_tf import evaluation
        >>> scores = [[0.9], [0.8], [0.7], [0.1]]
        >>> round(evaluation.voc_mean_average_precision(scores, [[1], [0], [1], [0]]), 4)
        0.8485

    Args:
        scores: `[rows, classes]`, higher for rows that are rather of a class.
        targets: `[rows, classes]`, 1 where a row is of a class and 0 elsewhere.
        difficult: `[rows, classes]`, `True` where a class does not count a row; `None` for nowhere.

    Returns:
        The mean average precision, from 0 to 1.

    Raises:
        ValueError: if shapes or numbers are not as above, or a class has no row.
    """
    scores = matrix("scores", scores)
    targets = matrix("targets", targets)
    difficult = matrix("difficult", np.zeros_like(targets) if difficult is None else difficult)
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
            "`targets` must hold a row of every class that is not difficult. "
            f"Received: none of the classes {empty.tolist()}"
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
    """The 11-point interpolated average precision of one class."""
    order = np.argsort(-scores)
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    retrieved = 1 + np.flatnonzero(last_of_score)
    found = np.cumsum(positive[order])[last_of_score]
    # Recall is compared in integers: 0.1 + 0.2 is above 0.3.
    reached = 10 * found >= np.arange(11)[:, None] * positive.sum()
    return float(np.mean(np.where(reached, found / retrieved, 0).max(axis=1)))
