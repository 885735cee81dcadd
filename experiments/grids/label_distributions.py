"""SupCon with label distributions: mixing, a teacher, both, and cross-entropy for comparison.

Kim et al., 2022, first version, Table 1 (ResNet-50, linear accuracy in percent):

|           | SupCon | + distillation | + Mixup-CutMix | + both | cross-entropy |
|-----------|--------|----------------|----------------|--------|---------------|
| CIFAR-10  | 96.0   | 97.1           | 97.3           | 97.6   | 94.9          |
| CIFAR-100 | 76.5   | 82.5           | 82.8           | 84.7   | 75.4          |
"""

from experiments.grids import Claim, Row

ROWS = [
    Row("teacher", "_teacher"),
    Row("SupCon"),
    Row("SupCon + Mixup-CutMix", "_genscl_mix"),
    Row("SupCon + distillation", "_genscl_distill", teacher="teacher"),
    Row("SupCon + both", "_genscl", teacher="teacher"),
    Row("cross-entropy", "_cross_entropy"),
    Row("cross-entropy + Mixup-CutMix", "_cross_entropy", {"mixing.kind": "mixup_cutmix"}),
]

CLAIMS = [
    Claim("Mixup-CutMix improves SupCon (GenSCL, Table 1)", "SupCon + Mixup-CutMix", "SupCon"),
    Claim("A teacher improves SupCon (GenSCL, Table 1)", "SupCon + distillation", "SupCon"),
    Claim(
        "Mixing and a teacher are better than mixing alone (GenSCL, Table 1)",
        "SupCon + both",
        "SupCon + Mixup-CutMix",
    ),
    Claim("SupCon is better than cross-entropy (GenSCL, Table 1)", "SupCon", "cross-entropy"),
]
