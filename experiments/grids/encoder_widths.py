"""Widths of the encoder: whether more channels help SupCon more than cross-entropy.

The papers train a ResNet-50. The recipe has a ResNet-10 of width 0.25, a quarter of the usual
channels. Its other settings were chosen for this width.
"""

from experiments.grids import Claim, Row

WIDTHS = (0.25, 0.5)
ROWS = [
    Row(f"{method}, width {width}", recipe, {"encoder.width": width})
    for width in WIDTHS
    for method, recipe in (("SupCon", ""), ("cross-entropy", "_cross_entropy"))
]

CLAIMS = [
    Claim("A wider encoder improves SupCon", "SupCon, width 0.5", "SupCon, width 0.25"),
    *(
        Claim(
            f"SupCon is above cross-entropy with width {width} (SupCon, Table 2)",
            f"SupCon, width {width}",
            f"cross-entropy, width {width}",
        )
        for width in WIDTHS
    ),
]
