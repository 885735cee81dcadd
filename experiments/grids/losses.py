"""Losses: the variants of SupCon, SimCLR, losses of pairs and triplets, and cross-entropy.

Khosla et al., 2020, ResNet-50, top-1 accuracy in percent. ImageNet: sum outside 78.7, inside 67.4
(section 3.2.2 and Table 1); N-pairs 57.4 (section 8). Table 2:

|           | SimCLR | cross-entropy | max-margin | SupCon |
|-----------|--------|---------------|------------|--------|
| CIFAR-10  | 93.6   | 95.0          | 92.4       | 96.0   |
| CIFAR-100 | 70.7   | 75.3          | 70.5       | 76.5   |
| ImageNet  | 70.2   | 78.2          | 78.0       | 78.7   |

The max-margin column quotes a large-margin softmax classifier, which has no row here. The paper has
no triplet loss and no loss of pairs with a margin. Its N-pairs loss has a single positive and
excludes the anchor from the denominator; the N-pairs loss here is that of tensorflow-addons.
"""

from experiments.grids import Claim, Row

ROWS = [
    Row("SupCon, sum outside"),
    Row("SupCon, sum inside", changes={"loss.summation": "inside"}),
    Row("SupCon, one positive in the denominator", changes={"loss.denominator": "one_positive"}),
    Row(
        "SupCon, only negatives in the denominator", changes={"loss.denominator": "only_negatives"}
    ),
    Row("SimCLR", changes={"labeled_fraction": 0.0}),
    Row("N-pairs", changes={"loss": {"name": "n_pairs"}}),
    Row("triplet, semi-hard", changes={"loss": {"name": "triplet", "mining": "semi_hard"}}),
    Row("pairs with a margin", changes={"loss": {"name": "max_margin"}}),
    Row("GenSCL, Mixup-CutMix", "_genscl_mix"),
    Row(
        "GenSCL, Mixup-CutMix, weighted by the number of contrasts",
        "_genscl_mix",
        {"loss.weighting": "contrast_count"},
    ),
    Row("cross-entropy", "_cross_entropy"),
]

CLAIMS = [
    Claim(
        "The sum outside of the logarithm is better than inside (SupCon, Table 1)",
        "SupCon, sum outside",
        "SupCon, sum inside",
    ),
    Claim(
        "SupCon is better than cross-entropy (SupCon, Table 2)",
        "SupCon, sum outside",
        "cross-entropy",
    ),
    Claim("SupCon is better than SimCLR (SupCon, Table 2)", "SupCon, sum outside", "SimCLR"),
    Claim("SupCon is better than N-pairs (SupCon, section 8)", "SupCon, sum outside", "N-pairs"),
    Claim(
        "Mixup-CutMix with label distributions is better than SupCon (GenSCL, Table 1)",
        "GenSCL, Mixup-CutMix",
        "SupCon, sum outside",
    ),
]
