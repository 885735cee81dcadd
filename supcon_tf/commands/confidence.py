"""Calibration of the probabilities of a classifier on held-out images."""

import numpy as np
from numpy.typing import NDArray

_TEMPERATURES = np.geomspace(0.05, 20, 400)
_UNKNOWN_QUANTILE = 0.05


def to_probabilities(
    logits: NDArray[np.float32], temperature: float, *, multi_label: bool
) -> NDArray[np.float64]:
    """Converts logits `[images, classes]` to probabilities.

    Args:
        logits: `[images, classes]`.
        temperature: the number by which logits are divided.
        multi_label: whether every class has a probability of its own, of a sigmoid. Otherwise the
            probabilities of an image sum to 1.
    """
    scaled = logits.astype(np.float64) / temperature
    if multi_label:
        return np.exp(-np.logaddexp(0, -scaled))
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))


def fit_temperature(logits: NDArray[np.float32], indicators: NDArray[np.float32]) -> float:
    """Finds the temperature with the smallest cross-entropy on held-out images.

    The targets are smoothed as if one further image were predicted wrong (Platt, 1999). Otherwise
    the best temperature of predictions without an error would be 0.

    Reference: Guo et al., 2017, section 4.2 (https://arxiv.org/abs/1706.04599).

    Args:
        logits: `[images, classes]`.
        indicators: `[images, classes]`: 1 for the classes of an image, and 0. Sigmoids are
            calibrated if an image has several classes.
    """
    images, classes = indicators.shape
    multi_label = _is_multi_label(indicators)
    smoothing = 1 / (images + 2)
    uniform = 0.5 if multi_label else 1 / classes
    targets = (1 - smoothing) * indicators + smoothing * uniform

    def cross_entropy(temperature: float) -> float:
        scaled = logits.astype(np.float64) / temperature
        if multi_label:
            losses = np.logaddexp(0, scaled) - targets * scaled
        else:
            losses = targets * (np.logaddexp.reduce(scaled, axis=1, keepdims=True) - scaled)
        return float(losses.sum())

    return float(min(_TEMPERATURES, key=cross_entropy))


def find_unknown_threshold(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Returns the probability below which a prediction is called unknown.

    It is the 5th percentile of the largest probability over the held-out images that are predicted
    right: of the right predictions, one in twenty becomes unknown. Images of other classes mostly
    have smaller probabilities. 0 if no prediction is right.

    Args:
        probabilities: `[images, classes]`.
        labels: `[images]` class ids.
    """
    right = probabilities.argmax(axis=1) == labels
    if not right.any():
        return 0.0
    return float(np.quantile(probabilities.max(axis=1)[right], _UNKNOWN_QUANTILE))


def _is_multi_label(indicators: NDArray[np.float32]) -> bool:
    return bool((indicators.sum(axis=1) != 1).any())
