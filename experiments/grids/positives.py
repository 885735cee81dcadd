"""How many positives an anchor has at most: Khosla et al., 2020, Table 5.

ResNet-50, ImageNet, batch of 6144, top-1 in percent; one positive is always the other view:

| 1 (SimCLR) | 3    | 5    | 7    | 9    | no cap (13 expected) |
|------------|------|------|------|------|----------------------|
| 69.3       | 76.6 | 78.0 | 78.4 | 78.3 | 78.5                 |
"""

from experiments.grids import Row

ROWS = [
    *(Row(f"{cap + 1}", changes={"loss.positives_cap": cap}) for cap in (0, 2, 4, 8, 16)),
    Row("no cap"),
]
