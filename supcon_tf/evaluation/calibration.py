"""Whether a classifier is right as often as its confidence says."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from supcon_tf.evaluation.inputs import class_ids, matrix, require_column, require_count


class ReliabilityCurve(NamedTuple):
    """What `reliability_curve` returns, one entry per bin.

    Examples:
        >>> from supcon_tf import evaluation
        >>> curve = evaluation.reliability_curve([[0.9, 0.1], [0.2, 0.8]], [0, 0], bins=2)
        >>> curve.count.tolist()
        [0, 2]

    Attributes:
        confidence: `[bins]` float64, the mean confidence, NaN where there are no rows.
        accuracy: `[bins]` float64, the mean accuracy, NaN where there are no rows.
        count: `[bins]` int64, how many rows.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count


def reliability_curve(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> ReliabilityCurve:
    r"""Mean confidence and accuracy of predictions of similar confidence.

    Confidence is the largest probability of a row. Bin m of M holds the rows whose confidence is in
    $((m - 1) / M, m / M]$.

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
        probabilities: `[rows, classes]`, each row at least 0 with sum 1; not logits.
        labels: `[rows]` or `[rows, 1]` integer class ids, positions of the columns.
        bins: how many bins.

    Returns:
        `confidence` and `accuracy`, `[bins]` float64, means over a bin's rows and NaN where there
        are none, and `count`, `[bins]` int64, how many there are.

    Raises:
        ValueError: if shapes, probabilities, labels or bins are not as above.
    """
    probabilities = matrix("probabilities", probabilities)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    # Sums of half precision are off by this much.
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            "`probabilities` must be at least 0 with sum 1 in each row, as softmax makes them of "
            f"logits. Received: numbers down to {probabilities.min():.4g}, sums from "
            f"{sums.min():.4g} to {sums.max():.4g}"
        )
    labels = class_ids("labels", labels, len(probabilities))
    require_column("labels", labels, probabilities.shape[1])
    require_count("bins", bins)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bin_of_row = np.searchsorted(np.arange(1, bins) / bins, confidence)
    count = np.bincount(bin_of_row, minlength=bins)
    nonzero = np.where(count, count, np.nan)
    return ReliabilityCurve(
        np.bincount(bin_of_row, confidence, minlength=bins) / nonzero,
        np.bincount(bin_of_row, right, minlength=bins) / nonzero,
        count,
    )


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    r"""Mean difference of confidence and accuracy over bins of similar confidence.

    $$\sum_{m=1}^{M} \frac{|B_m|}{n} \, |\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|$$

    Reference: Naeini et al., 2015 (https://doi.org/10.1609/aaai.v29i1.9602); Guo et al., 2017,
    equation 3, for the largest of several probabilities (https://arxiv.org/abs/1706.04599).

    Examples:
        >>> from supcon_tf import evaluation
        >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]
        >>> round(evaluation.expected_calibration_error(probabilities, [0, 0, 0], bins=4), 4)
        0.3333

    Args:
        probabilities: as of `reliability_curve`.
        labels: as of `reliability_curve`.
        bins: how many bins; 15 in the papers.

    Returns:
        The error, from 0 to 1.

    Raises:
        ValueError: as `reliability_curve` does.
    """
    confidence, accuracy, count = reliability_curve(probabilities, labels, bins)
    return float(np.nansum(count * np.abs(accuracy - confidence)) / count.sum())
