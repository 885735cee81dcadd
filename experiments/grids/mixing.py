"""Mixing: which mixture, how strong, and how long the training.

The rows change the training with Mixup-CutMix and SupCon of `label_distributions_long`: only one of
the two mixtures; a Beta distribution of parameter 0.2, most of whose mixtures are almost one of the
two images; a fifth of the weight decay; and twice the epochs.
"""

from experiments.grids import Claim, Row

_CHANGES = {
    "Mixup-CutMix": {},
    "Mixup": {"mixing.kind": "mixup"},
    "CutMix": {"mixing.kind": "cutmix"},
    "Mixup-CutMix, alpha 0.2": {"mixing.alpha": 0.2},
    "Mixup-CutMix, weight decay 1e-4": {"optimizer.arguments.weight_decay": 1e-4},
}
ROWS = [
    Row("SupCon", changes={"epochs": 60}),
    *(Row(name, "_genscl_mix", {"epochs": 60, **changes}) for name, changes in _CHANGES.items()),
    Row("SupCon, 120 epochs", changes={"epochs": 120}),
    Row("Mixup-CutMix, 120 epochs", "_genscl_mix", {"epochs": 120}),
]

CLAIMS = [
    *(Claim(f"{name} improves SupCon (GenSCL, Table 1)", name, "SupCon") for name in _CHANGES),
    Claim(
        "Mixup-CutMix improves SupCon after 120 epochs (GenSCL, Table 1)",
        "Mixup-CutMix, 120 epochs",
        "SupCon, 120 epochs",
    ),
]
