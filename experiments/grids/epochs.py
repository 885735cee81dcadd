"""Epochs of the first stage: Khosla et al., 2020, Figure 4 (c).

On ImageNet the accuracy saturates after about 200 epochs. The plotted values are not published as
numbers.
"""

from experiments.grids import Claim, Row

EPOCHS = (3, 5, 10, 20)
ROWS = [
    *(
        Row(f"SupCon, {epochs}", changes={"epochs": epochs}, x=epochs, series="SupCon")
        for epochs in EPOCHS
    ),
    *(
        Row(
            f"cross-entropy, {epochs}",
            "_cross_entropy",
            {"epochs": epochs},
            x=epochs,
            series="cross-entropy",
        )
        for epochs in EPOCHS
    ),
]

CLAIMS = [
    Claim("Longer training improves SupCon (SupCon, Figure 4 c)", "SupCon, 20", "SupCon, 5"),
    *(
        Claim(
            f"SupCon is above cross-entropy after {epochs} epochs (SupCon, Figure 4 c)",
            f"SupCon, {epochs}",
            f"cross-entropy, {epochs}",
        )
        for epochs in EPOCHS
    ),
]
X_LABEL = "epochs of the first stage"
