"""Confidence intervals of an accuracy."""

import math


def accuracy_interval(correct: int, total: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of an accuracy.

    Unlike mean ± 1.96 standard errors, it is right for few images and for accuracies near 0 and 1.

    Reference: Wilson, 1927 (https://doi.org/10.1080/01621459.1927.10502953).

        >>> [round(bound, 3) for bound in accuracy_interval(9, 10)]
        [0.596, 0.982]

    Args:
        correct: number of right predictions.
        total: number of predictions, at least 1.
    """
    z = 1.959964
    mean = correct / total
    center = mean + z**2 / (2 * total)
    radius = z * math.sqrt(mean * (1 - mean) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return max(0.0, (center - radius) / scale), min(1.0, (center + radius) / scale)
