"""A sample of images."""

import numpy as np


def sample(count: int, maximum: int) -> np.ndarray:
    """Samples positions. They are random because images can be sorted by class.

    Args:
        count: number of images.
        maximum: the maximum number of positions.

    Returns:
        `[min(count, maximum)]` increasing positions below `count`, always the same ones.
    """
    return np.sort(np.random.default_rng(0).choice(count, min(count, maximum), replace=False))
