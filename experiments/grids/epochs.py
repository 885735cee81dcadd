"""Epochs of the first stage: Khosla et al., 2020, Figure 4 (c).

On ImageNet accuracy saturates; 200 epochs are nearly enough. The plotted values are not published
as numbers.
"""

from experiments.grids import Row

EPOCHS = (3, 5, 10, 20)
ROWS = [
    *(Row(f"SupCon, {epochs}", changes={"epochs": epochs}) for epochs in EPOCHS),
    *(Row(f"cross-entropy, {epochs}", "_cross_entropy", {"epochs": epochs}) for epochs in EPOCHS),
]
