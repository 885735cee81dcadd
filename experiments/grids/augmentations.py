"""Augmentation policies of both stages: Khosla et al., 2020, Table 9.

ResNet-50, ImageNet, top-1 accuracy in percent. Rows: first stage; columns: linear stage.

|                     | AutoAugment | RandAugment | SimAugment | Stacked RandAugment |
|---------------------|-------------|-------------|------------|---------------------|
| AutoAugment         | 78.6        | 78.1        | 75.4       | 77.4                |
| SimAugment          | 76.1        | 75.9        | 77.9       | 76.4                |
| RandAugment         | 78.3        | 78.4        | 76.3       | 75.8                |
| Stacked RandAugment | 78.1        | 78.2        | 77.9       | 75.9                |
"""

from experiments.grids import Claim, Row

_POLICIES = {
    "AutoAugment": "auto_augment",
    "SimAugment": "sim_augment",
    "RandAugment": "rand_augment",
    "Stacked RandAugment": "stacked_rand_augment",
}


def _fields(stage, name):
    policy = {"policy": _POLICIES[name], "scale": (0.75, 1.0), "flip": True}
    return {f"{stage}augmentation": policy}


ROWS = [
    Row(f"{first}, then {second}", changes={**_fields("", first), **_fields("linear.", second)})
    for first in _POLICIES
    for second in _POLICIES
]

CLAIMS = [
    Claim(
        f"{policy} is best followed by itself (SupCon, Table 9)",
        f"{policy}, then {policy}",
        f"{policy}, then {other}",
    )
    for policy, other in (("AutoAugment", "SimAugment"), ("SimAugment", "AutoAugment"))
]
