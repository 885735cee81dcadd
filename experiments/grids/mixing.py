"""Mixing: which mixture, how strong, how long the training, and how wide the encoder.

The rows change SupCon with Mixup-CutMix of `label_distributions_long`: only one of the mixtures; a
Beta distribution of parameter 0.2, most of whose mixtures are almost one of the two images; a
mixture for each image instead of one for each view of the batch; a fifth of the weight decay; twice
the epochs; and twice the channels. SupCon without mixing also has the last three changes.
"""

from experiments.grids import Claim, Row

_MIXTURES = {
    "Mixup": {"mixing.kind": "mixup"},
    "CutMix": {"mixing.kind": "cutmix"},
    "Mixup-CutMix, alpha 0.2": {"mixing.alpha": 0.2},
    "Mixup-CutMix, per sample": {"mixing.per_sample": True},
}
_TRAININGS = {
    "weight decay 1e-4": {"epochs": 60, "optimizer.arguments.weight_decay": 1e-4},
    "120 epochs": {"epochs": 120},
    "width 0.5": {"epochs": 60, "encoder.width": 0.5},
}
ROWS = [
    Row("SupCon", changes={"epochs": 60}),
    Row("Mixup-CutMix", "_genscl_mix", {"epochs": 60}),
    *(Row(name, "_genscl_mix", {"epochs": 60, **changes}) for name, changes in _MIXTURES.items()),
    *(Row(f"SupCon, {name}", changes=changes) for name, changes in _TRAININGS.items()),
    *(Row(f"Mixup-CutMix, {name}", "_genscl_mix", changes) for name, changes in _TRAININGS.items()),
]

# The paper has Mixup-CutMix only.
CLAIMS = [
    Claim("Mixup-CutMix improves SupCon (GenSCL, Table 1)", "Mixup-CutMix", "SupCon"),
    *(
        Claim(
            f"Mixup-CutMix improves SupCon with {name} (GenSCL, Table 1)",
            f"Mixup-CutMix, {name}",
            f"SupCon, {name}",
        )
        for name in _TRAININGS
    ),
    *(Claim(f"{name} improves SupCon", name, "SupCon") for name in _MIXTURES),
]
