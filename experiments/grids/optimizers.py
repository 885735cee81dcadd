"""Optimizers of both stages: Khosla et al., 2020, Table 8.

ResNet-50, ImageNet, AutoAugment, 350 + 350 epochs, top-1 accuracy in percent. Rows: first stage;
columns: linear stage.

|          | LARS | RMSProp | momentum |
|----------|------|---------|----------|
| LARS     | 78.2 | 78.7    | 77.6     |
| RMSProp  | 77.4 | 77.8    | 76.9     |
| momentum | 77.7 | 76.1    | 77.7     |

The learning rates are not published; each optimizer has the learning rate of a recipe here.
"""

from typing import Any

from experiments.grids import Claim, Row

SETTINGS = {
    "LARS": ("lars", 0.4, {"momentum": 0.9, "weight_decay": 1e-4}),
    "RMSProp": ("rmsprop", 0.001, {"rho": 0.9, "momentum": 0.9, "epsilon": 1e-3}),
    "momentum": ("sgd", 0.2, {"momentum": 0.9, "weight_decay": 1e-4}),
}


def optimizer_fields(stage: str, optimizer: str) -> dict[str, Any]:
    """Returns the fields of an optimizer of `SETTINGS` in a stage, `""` or `"linear."`."""
    name, learning_rate, arguments = SETTINGS[optimizer]
    return {
        f"{stage}optimizer.name": name,
        f"{stage}optimizer.learning_rate": learning_rate,
        f"{stage}optimizer.arguments": arguments,
    }


ROWS = [
    Row(
        f"{first}, then {second}",
        changes={**optimizer_fields("", first), **optimizer_fields("linear.", second)},
    )
    for first in SETTINGS
    for second in SETTINGS
]

CLAIMS = [
    Claim(
        "LARS, then RMSProp is better than momentum twice (SupCon, Table 8)",
        "LARS, then RMSProp",
        "momentum, then momentum",
    ),
]
