"""Errors on corrupted images, relative to a reference classifier."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Errors = Mapping[str, float | Sequence[float]]

# Errors of AlexNet on ImageNet-C, means over the five severities, from the code of AugMix
# (https://github.com/google-research/augmix), and on clean images, from torchvision's page of the
# same weights.
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
    r"""Computes the mCE: the mean over corruptions of the error relative to a reference.

    $$\frac{1}{|C|} \sum_{c \in C} \frac{\sum_s E_{s,c}}{\sum_s E^{ref}_{s,c}}$$

    Reference: Hendrycks and Dietterich, 2019, section 4 (https://arxiv.org/abs/1903.12261). The
    paper reports the value times 100.

    Examples:
        >>> from supcon_tf import evaluation
        >>> errors = {"fog": [0.2, 0.4], "snow": [0.1, 0.3]}
        >>> reference = {"fog": [0.6, 0.6], "snow": [0.4, 0.4]}
        >>> round(evaluation.mean_corruption_error(errors, reference), 4)
        0.5

    Args:
        errors: error rates from 0 to 1 of each corruption, one per severity, or their mean.
        reference: error rates of a reference classifier for the same corruptions; by default
            AlexNet's for the 15 corruptions of ImageNet-C, as means over its five severities.

    Returns:
        The mCE; the reference classifier has an mCE of 1.

    Raises:
        ValueError: if the corruptions or the numbers of severities differ, a rate is not from 0 to
            1, or the reference has an error of 0 for a corruption.
    """
    return _mean_ratio(errors, 0.0, reference, 0.0)


def relative_mean_corruption_error(
    errors: Errors,
    clean: float,
    reference: Errors = ALEXNET_ERRORS,
    reference_clean: float = ALEXNET_CLEAN_ERROR,
) -> float:
    r"""Computes the relative mCE: the increase over the clean error, relative to a reference.

    $$\frac{1}{|C|} \sum_{c \in C}
    \frac{\sum_s (E_{s,c} - E_{clean})}{\sum_s (E^{ref}_{s,c} - E^{ref}_{clean})}$$

    Reference: Hendrycks and Dietterich, 2019, section 4 (https://arxiv.org/abs/1903.12261). The
    paper reports the value times 100.

    Examples:
        >>> from supcon_tf import evaluation
        >>> errors = {"fog": [0.2, 0.4], "snow": [0.1, 0.3]}
        >>> reference = {"fog": [0.6, 0.6], "snow": [0.4, 0.4]}
        >>> round(evaluation.relative_mean_corruption_error(errors, 0.1, reference, 0.2), 4)
        0.5

    Args:
        errors: as in `mean_corruption_error`.
        clean: error rate on images without corruption.
        reference: as in `mean_corruption_error`.
        reference_clean: error rate of the reference classifier on images without corruption; by
            default AlexNet's.

    Returns:
        The relative mCE; the reference classifier has a relative mCE of 1.

    Raises:
        ValueError: if the corruptions or the numbers of severities differ, a rate is not from 0 to
            1, or an error of the reference is not above its clean error.
    """
    return _mean_ratio(errors, clean, reference, reference_clean)


def _mean_ratio(errors: Errors, clean: float, reference: Errors, reference_clean: float) -> float:
    """Returns the mean over corruptions of the ratio of the increases over the clean errors."""
    if not errors or set(errors) != set(reference):
        raise ValueError(
            "`errors` and `reference` must hold the same corruptions. Received: only in `errors` "
            f"{sorted(set(errors) - set(reference))}, only in `reference` "
            f"{sorted(set(reference) - set(errors))}"
        )
    _check_rates("clean", clean)
    _check_rates("reference_clean", reference_clean)
    ratios = []
    for corruption in errors:
        own = _check_rates(f"errors[{corruption!r}]", errors[corruption])
        ref = _check_rates(f"reference[{corruption!r}]", reference[corruption])
        if own.ndim and ref.ndim and len(own) != len(ref):
            raise ValueError(
                "`errors` and `reference` must have the same number of severities. Received: "
                f"{len(own)} and {len(ref)} for {corruption!r}"
            )
        if ref.mean() <= reference_clean:
            raise ValueError(
                "`reference` must exceed the error on clean images. Received: a mean of "
                f"{ref.mean():.4g} for {corruption!r}, and {reference_clean:.4g} on clean images"
            )
        # For equal numbers of severities, the ratio of means is the ratio of sums.
        ratios.append((own.mean() - clean) / (ref.mean() - reference_clean))
    return float(np.mean(ratios))


def _check_rates(argument: str, values: float | Sequence[float]) -> NDArray[np.float64]:
    rates = np.asarray(values, np.float64)
    if rates.ndim > 1 or not rates.size or not np.all((rates >= 0) & (rates <= 1)):
        raise ValueError(
            f"`{argument}` must be error rates from 0 to 1, one per severity. Received: {values}"
        )
    return rates
