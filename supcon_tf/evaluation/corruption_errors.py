"""Errors on corrupted images, relative to those of a reference classifier."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Errors = Mapping[str, float | Sequence[float]]

# AlexNet's on ImageNet-C, means over the five severities, as in the code of AugMix
# (https://github.com/google-research/augmix), and on clean images, as torchvision says of the
# weights that were used.
ALEXNET_ERRORS = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
ALEXNET_CLEAN_ERROR = 0.43478


def mean_corruption_error(errors: Errors, reference: Errors = ALEXNET_ERRORS) -> float:
    r"""mCE: errors summed over severities, relative to a reference, then averaged.

    $$\frac{1}{|C|} \sum_{c \in C} \frac{\sum_s E_{s,c}}{\sum_s E^{ref}_{s,c}}$$

    Reference: Hendrycks and Dietterich, 2019, section 4 (https://arxiv.org/abs/1903.12261); the
    paper prints it times 100.

    Examples:
        >>> from supcon_tf import evaluation
        >>> errors = {"fog": [0.2, 0.4], "snow": [0.1, 0.3]}
        >>> reference = {"fog": [0.6, 0.6], "snow": [0.4, 0.4]}
        >>> round(evaluation.mean_corruption_error(errors, reference), 4)
        0.5

    Args:
        errors: for each corruption the error rates, from 0 to 1, one per severity, or their mean.
        reference: the same of a reference classifier, for the same corruptions; by default AlexNet
            and the 15 corruptions of ImageNet-C, for means over its five severities.

    Returns:
        The error; 1 is the reference's.

    Raises:
        ValueError: if the corruptions or the numbers of severities differ, a rate is not from 0 to
            1, or the reference is not worse on corrupted images than on clean ones.
    """
    return _mean_ratio(errors, 0.0, reference, 0.0)


def relative_mean_corruption_error(
    errors: Errors,
    clean: float,
    reference: Errors = ALEXNET_ERRORS,
    reference_clean: float = ALEXNET_CLEAN_ERROR,
) -> float:
    r"""Relative mCE: what corruptions add to the clean error, relative to a reference.

    $$\frac{1}{|C|} \sum_{c \in C}
    \frac{\sum_s (E_{s,c} - E_{clean})}{\sum_s (E^{ref}_{s,c} - E^{ref}_{clean})}$$

    Reference: Hendrycks and Dietterich, 2019, section 4 (https://arxiv.org/abs/1903.12261); the
    paper prints it times 100.

    Examples:
        >>> from supcon_tf import evaluation
        >>> errors = {"fog": [0.2, 0.4], "snow": [0.1, 0.3]}
        >>> reference = {"fog": [0.6, 0.6], "snow": [0.4, 0.4]}
        >>> round(evaluation.relative_mean_corruption_error(errors, 0.1, reference, 0.2), 4)
        0.5

    Args:
        errors: as of `mean_corruption_error`.
        clean: the error rate on images without a corruption.
        reference: as of `mean_corruption_error`.
        reference_clean: the reference's error rate on images without a corruption; by default
            AlexNet's.

    Returns:
        The error; 1 is the reference's.

    Raises:
        ValueError: as `mean_corruption_error` does.
    """
    return _mean_ratio(errors, clean, reference, reference_clean)


def _mean_ratio(errors: Errors, clean: float, reference: Errors, reference_clean: float) -> float:
    """The mean ratio of what is above the clean errors."""
    if not errors or set(errors) != set(reference):
        raise ValueError(
            "`errors` and `reference` must be of the same corruptions. Received: only in `errors` "
            f"{sorted(set(errors) - set(reference))}, only in `reference` "
            f"{sorted(set(reference) - set(errors))}"
        )
    own_clean = _rates("clean", clean)
    others_clean = _rates("reference_clean", reference_clean)
    ratios = []
    for corruption in errors:
        own = _rates(f"errors[{corruption!r}]", errors[corruption])
        others = _rates(f"reference[{corruption!r}]", reference[corruption])
        if own.ndim and others.ndim and len(own) != len(others):
            raise ValueError(
                "`errors` and `reference` must be of the same severities. Received: "
                f"{len(own)} and {len(others)} of {corruption!r}"
            )
        if others.mean() <= others_clean:
            raise ValueError(
                "`reference` must be above the error on clean images. Received: a mean of "
                f"{others.mean():.4g} of {corruption!r}, and {others_clean:.4g} on clean images"
            )
        # Of as many severities, sums are to each other as means are.
        ratios.append((own.mean() - own_clean) / (others.mean() - others_clean))
    return float(np.mean(ratios))


def _rates(argument: str, values: float | Sequence[float]) -> NDArray[np.float64]:
    rates = np.asarray(values, np.float64)
    if rates.ndim > 1 or not rates.size or not np.all((rates >= 0) & (rates <= 1)):
        raise ValueError(
            f"`{argument}` must be error rates from 0 to 1, one per severity. Received: {values}"
        )
    return rates
