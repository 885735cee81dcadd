"""Calibration: whether the confidence of a classifier equals its accuracy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf._checks import check_integer
from supcon_tf.evaluation.inputs import check_class_ids, check_class_range, check_matrix


class ReliabilityCurve(NamedTuple):
    """Result of `reliability_curve`, one entry per bin.

    Examples:
        >>> from supcon_tf import evaluation
        >>> curve = evaluation.reliability_curve([[0.9, 0.1], [0.2, 0.8]], [0, 0], bins=2)
        >>> curve.count.tolist()
        [0, 2]

    Attributes:
        confidence: `[bins]` float64, mean confidence, NaN for empty bins.
        accuracy: `[bins]` float64, mean accuracy, NaN for empty bins.
        count: `[bins]` int64, number of rows.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count


def reliability_curve(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> ReliabilityCurve:
    r"""Computes mean confidence and accuracy of predictions in bins of confidence.

    The confidence of a row is its largest probability. Bin m of M holds the rows with a confidence
    in $((m - 1) / M, m / M]$.

    Reference: Guo et al., 2017, section 2 (https://arxiv.org/abs/1706.04599).

    Examples:
        >>> from supcon_tf import evaluation
        >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
        >>> curve = evaluation.reliability_curve(probabilities, [0, 0, 0], bins=4)
        >>> [float(round(value, 2)) for value in curve.confidence]
        [nan, nan, 0.7, 0.85]
        >>> curve.accuracy.tolist(), curve.count.tolist()
        ([nan, nan, 1.0, 0.5], [0, 0, 1, 2])

    Args:
        probabilities: `[rows, classes]`, non-negative rows with sum 1; not logits.
        labels: `[rows]` or `[rows, 1]` integer class ids, from 0 to `classes - 1`.
        bins: number of bins.

    Returns:
        `confidence` and `accuracy`, `[bins]` float64, the means over the rows of a bin, NaN for
        empty bins; and `count`, `[bins]` int64, the number of rows.

    Raises:
        ValueError: if `probabilities`, `labels` or `bins` is not as described.
    """
    probabilities = check_matrix("probabilities", probabilities)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    # The tolerance allows for probabilities in half precision.
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            "`probabilities` must be non-negative with sum 1 in each row. Apply a softmax to "
            f"logits. Received: a minimum of {probabilities.min():.4g}, sums from "
            f"{sums.min():.4g} to {sums.max():.4g}"
        )
    labels = check_class_ids("labels", labels, len(probabilities))
    check_class_range("labels", labels, probabilities.shape[1])
    check_integer("bins", bins)
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bin_of_row = np.searchsorted(np.arange(1, bins) / bins, confidence)
    count = np.bincount(bin_of_row, minlength=bins)
    nonzero = np.where(count, count, np.nan)
    return ReliabilityCurve(
        np.bincount(bin_of_row, confidence, minlength=bins) / nonzero,
        np.bincount(bin_of_row, correct, minlength=bins) / nonzero,
        count,
    )


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    r"""Computes the mean absolute difference of confidence and accuracy over bins of confidence.

    $$\sum_{m=1}^{M} \frac{|B_m|}{n} \, |\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|$$

    References: Naeini et al., 2015 (https://doi.org/10.1609/aaai.v29i1.9602); Guo et al., 2017,
    equation 3, for the largest of several probabilities (https://arxiv.org/abs/1706.04599).

    Examples:
        >>> from supcon_tf import evaluation
        >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
        >>> round(evaluation.expected_calibration_error(probabilities, [0, 0, 0], bins=4), 4)
        0.3333

    Args:
        probabilities: as in `reliability_curve`.
        labels: as in `reliability_curve`.
        bins: number of bins; 15 in the papers.

    Returns:
        The error, from 0 to 1.

    Raises:
        ValueError: if an argument of `reliability_curve` is not as described there.
    """
    confidence, accuracy, count = reliability_curve(probabilities, labels, bins)
    return float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())
