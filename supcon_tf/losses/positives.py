"""A warning for batches without positives."""

import warnings
from typing import Any

import numpy as np

from supcon_tf.labels import UNLABELED


def warn_without_positives(labels: np.ndarray[Any, Any], stacklevel: int) -> bool:
    """Warns if no anchor of a batch has a positive. The loss is then 0 without any training.

    Args:
        labels: labels of a batch with one view per sample: class ids `[batch]` or label
            distributions `[batch, classes]`.
        stacklevel: as in `warnings.warn`, counted from the caller.

    Returns:
        Whether it warned.
    """
    if not len(labels) or _have_positive(labels).any():
        return False
    warnings.warn(
        f"No anchor of the batch has a positive (0 of {len(labels)}), because every sample has one "
        "view and a class of its own. The loss of such an anchor is 0, and the model learns nothing"
        " from it. Pass two or more views per sample, [batch, views, ...], use larger batches, or "
        "sample batches by class.",
        stacklevel=stacklevel + 1,
    )
    return True


def _have_positive(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns for every row whether another row has the same class, or a class in common."""
    if labels.ndim == 2:
        return (labels * (labels.sum(axis=0) - labels)).sum(axis=1) > 0
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (counts[inverse] > 1) & (labels != UNLABELED)
