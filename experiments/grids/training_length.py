"""Length of the training: when SupCon pays.

A training of one length has 15 epochs of two views with SupCon, and 30 epochs of one view with
cross-entropy: as many forward passes. The papers train for hundreds of epochs.
"""

from experiments.grids import Claim, Row

EPOCHS = 15
LENGTHS = (1, 2, 4, 8)
ROWS = [
    *(
        Row(f"SupCon, {length}", changes={"epochs": EPOCHS * length}, x=length, series="SupCon")
        for length in LENGTHS
    ),
    *(
        Row(
            f"cross-entropy, {length}",
            "_cross_entropy",
            {"epochs": 2 * EPOCHS * length},
            x=length,
            series="cross-entropy",
        )
        for length in LENGTHS
    ),
]

CLAIMS = [
    Claim("Four times the epochs improve SupCon (SupCon, Figure 4 c)", "SupCon, 4", "SupCon, 1"),
    *(
        Claim(
            f"SupCon is above cross-entropy at length {length} (SupCon, Table 2)",
            f"SupCon, {length}",
            f"cross-entropy, {length}",
        )
        for length in LENGTHS
    ),
]
X_LABEL = "length of the training"
