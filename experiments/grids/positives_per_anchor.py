"""The maximum number of positives of an anchor: Khosla et al., 2020, Table 5.

ResNet-50, ImageNet, batch of 6144, top-1 accuracy in percent. One positive is always the other
view.

| 1 (SimCLR) | 3    | 5    | 7    | 9    | no cap (13 expected) |
|------------|------|------|------|------|----------------------|
| 69.3       | 76.6 | 78.0 | 78.4 | 78.3 | 78.5                 |
"""

from experiments.grids import Claim, Row

ROWS = [
    *(
        Row(f"{cap + 1}", changes={"loss.positives_cap": cap}, x=cap + 1, series="SupCon")
        for cap in (0, 2, 4, 8, 16)
    ),
    # 256 images of 10 classes: two views of 25 other images of the class, and the other view.
    Row("no cap", x=51, series="SupCon"),
]

CLAIMS = [
    Claim("More positives are better than the other view alone (SupCon, Table 5)", "no cap", "1"),
    Claim("Nine positives are better than three (SupCon, Table 5)", "9", "3"),
]
X_LABEL = "maximum number of positives"
