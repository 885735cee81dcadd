"""Stability with other trainings: whether SupCon then varies less with the augmentation.

The rows of `stability` with its best and its worst augmentation, with twice the epochs, with four
times the steps in batches of a quarter of the images, and with twice the channels of the encoder.
"""

from experiments.grids import Row
from experiments.grids.stability import AUGMENTATIONS, METHODS

_POLICIES = ("crop_flip", "rand_augment")
_EPOCHS = {"SupCon": 60, "cross-entropy": 120}


def _trainings(method: str) -> dict[str, dict[str, object]]:
    return {
        "recipe": {},
        "twice the epochs": {"epochs": _EPOCHS[method]},
        "batches of 64": {"batch_size": 64},
        "width 0.5": {"encoder.width": 0.5},
    }


ROWS = [
    Row(f"{method}, {name}, {policy}", recipe, {**changes, **AUGMENTATIONS[policy]})
    for method, recipe in METHODS.items()
    for name, changes in _trainings(method).items()
    for policy in _POLICIES
]

CLAIMS = []

SPREADS = {
    f"{method}, {name}": [f"{method}, {name}, {policy}" for policy in _POLICIES]
    for method in METHODS
    for name in _trainings(method)
}
