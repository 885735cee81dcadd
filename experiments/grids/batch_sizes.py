"""Batch sizes, with learning rates in proportion: Khosla et al., 2020, Figure 4 (b).

On ImageNet both methods gain from larger batches, and SupCon is above cross-entropy with every
one. The plotted values are not published as numbers.
"""

from experiments.grids import Row

SIZES = (64, 128, 256, 512)
ROWS = [
    *(Row(f"SupCon, {size}", changes={"batch_size": size}) for size in SIZES),
    *(Row(f"cross-entropy, {size}", "_cross_entropy", {"batch_size": size}) for size in SIZES),
]
