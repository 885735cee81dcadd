"""Some of many images."""

import numpy as np


def sample(count: int, most: int) -> np.ndarray:
    """Chooses random positions, since images may be sorted by class, or their classes take turns.

    Args:
        count: how many there are.
        most: how many to choose at most.

    Returns:
        `[min(count, most)]` rising positions below `count`, always the same ones.
    """
    return np.sort(np.random.default_rng(0).choice(count, min(count, most), replace=False))
