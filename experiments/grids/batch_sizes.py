"""Batch sizes, with proportional learning rates: Khosla et al., 2020, Figure 4 (b).

On ImageNet larger batches improve both methods, and SupCon is above cross-entropy with every batch
size. The plotted values are not published as numbers.
"""

from experiments.grids import Claim, Row

SIZES = (64, 128, 256, 512)
ROWS = [
    *(
        Row(f"SupCon, {size}", changes={"batch_size": size}, x=size, series="SupCon")
        for size in SIZES
    ),
    *(
        Row(
            f"cross-entropy, {size}",
            "_cross_entropy",
            {"batch_size": size},
            x=size,
            series="cross-entropy",
        )
        for size in SIZES
    ),
]

CLAIMS = [
    Claim("Larger batches improve SupCon (SupCon, Figure 4 b)", "SupCon, 512", "SupCon, 64"),
    Claim(
        "Larger batches improve cross-entropy (SupCon, Figure 4 b)",
        "cross-entropy, 512",
        "cross-entropy, 64",
    ),
    *(
        Claim(
            f"SupCon is above cross-entropy with batches of {size} (SupCon, Figure 4 b)",
            f"SupCon, {size}",
            f"cross-entropy, {size}",
        )
        for size in SIZES
    ),
]
X_LABEL = "images in a batch"
