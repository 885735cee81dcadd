"""Methods: SupCon, SimCLR and cross-entropy: Khosla et al., 2020, Table 2.

Top-1 accuracy of a ResNet-50 on CIFAR-10 in percent: SimCLR 93.6, cross-entropy 95.0, SupCon 96.0.
SimCLR trains its encoder without labels and with the settings of SupCon, and its linear classifier
with all labels.
"""

from experiments.grids import Claim, Row

ROWS = [
    Row("SupCon"),
    Row("SimCLR", changes={"labeled_fraction": 0.0}),
    Row("cross-entropy", "_cross_entropy"),
]

CLAIMS = [
    Claim("SupCon is better than cross-entropy (SupCon, Table 2)", "SupCon", "cross-entropy"),
    Claim("SupCon is better than SimCLR (SupCon, Table 2)", "SupCon", "SimCLR"),
]
