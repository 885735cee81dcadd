"""Confidence intervals of differences between trainings."""

import math
import statistics
from collections.abc import Sequence


def difference_interval(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    r"""Returns Welch's confidence interval of the difference of two means.

    The samples can have different variances. With the squared standard errors $e_k = s_k^2 / n_k$,
    the interval is the difference plus or minus $t \sqrt{e_1 + e_2}$, where $t$ is a quantile of
    Student's distribution with $(e_1 + e_2)^2 / \sum_k e_k^2 / (n_k - 1)$ degrees of freedom.

    Args:
        first: at least two numbers, such as the accuracies of the seeds of one method.
        second: at least two numbers.
        confidence: the probability that the interval contains the difference.

    Returns:
        The lower and the upper end.
    """
    from scipy.stats import t

    difference = statistics.mean(first) - statistics.mean(second)
    errors = [statistics.variance(each) / len(each) for each in (first, second)]
    if not any(errors):
        return difference, difference
    parts = zip(errors, (first, second), strict=True)
    freedom = sum(errors) ** 2 / sum(error**2 / (len(each) - 1) for error, each in parts)
    half = t.ppf((1 + confidence) / 2, freedom) * math.sqrt(sum(errors))
    return difference - half, difference + half
