"""Stability with other trainings: whether SupCon then varies less with the augmentation.

The best and the worst augmentation of `stability` with other trainings: twice the epochs; batches
of 64 images, with as many epochs; or twice the channels of the encoder.
"""

from experiments.grids import Row
from experiments.grids.stability import AUGMENTATIONS, METHODS

_POLICIES = ("crop_flip", "rand_augment")
_EPOCHS = {"SupCon": 60, "cross-entropy": 120}


def _trainings(method: str) -> dict[str, dict[str, object]]:
    return {
        "training of the recipe": {},
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
