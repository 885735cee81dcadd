"""Whether the anchors of a batch of single views have positives."""

import warnings
from typing import Any

import numpy as np

from supcon_tf.labels import UNLABELED


def warn_without_positives(labels: np.ndarray[Any, Any], stacklevel: int) -> bool:
    """Warns if a loss of 0 would look perfect: no anchor has a positive.

    Args:
        labels: of the batch, one view of each sample: class ids `[batch]` or label rows
            `[batch, classes]`.
        stacklevel: as of `warnings.warn`, seen from the caller.

    Returns:
        Whether it did.
    """
    if not len(labels) or _have_positive(labels).any():
        return False
    warnings.warn(
        f"No anchor of the batch has a positive (0 of {len(labels)}): there is one view of each "
        "sample, and no other sample of its class. The loss of such an anchor is 0, and nothing is "
        "learned from it. Pass two or more views of each sample, [batch, views, ...], or larger "
        "batches, or batches that are drawn by class.",
        stacklevel=stacklevel + 1,
    )
    return True


def _have_positive(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Tells which rows share a label with another row."""
    if labels.ndim == 2:
        return (labels * (labels.sum(axis=0) - labels)).sum(axis=1) > 0
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (counts[place] > 1) & (labels != UNLABELED)
