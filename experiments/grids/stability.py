"""Stability: learning rates, optimizers and augmentations: Khosla et al., 2020, Figure 4 (a).

On ImageNet, the accuracy of SupCon varies less than that of cross-entropy. The plotted values are
not published as numbers. Each row changes one setting of the recipe, in the first stage only:
the learning rate; the optimizer, with a learning rate for it; or the augmentation, with crops from
0.3 of the image.
"""

from experiments.grids import Row
from experiments.grids.optimizers import SETTINGS, optimizer_fields

METHODS = {"SupCon": "", "cross-entropy": "_cross_entropy"}
AUGMENTATIONS = {
    name: {"augmentation": {"policy": name, "scale": (0.3, 1.0), "flip": True}}
    for name in ("crop_flip", "sim_augment", "auto_augment", "rand_augment")
}
_FACTORS = {
    "learning rate": {
        f"{rate}": {"optimizer.learning_rate": rate} for rate in (0.05, 0.1, 0.2, 0.5, 1.0)
    },
    "optimizer": {name: optimizer_fields("", name) for name in SETTINGS},
    "augmentation": AUGMENTATIONS,
}

ROWS = [
    Row(f"{method}, {factor} {level}", recipe, changes)
    for factor, levels in _FACTORS.items()
    for level, changes in levels.items()
    for method, recipe in METHODS.items()
]

CLAIMS = []

# The report lists how much the accuracy varies over each of these groups of rows.
SPREADS = {
    f"{method}, {factor}": [f"{method}, {factor} {level}" for level in levels]
    for factor, levels in _FACTORS.items()
    for method in METHODS
}
