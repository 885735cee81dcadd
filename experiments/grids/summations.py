"""Sum outside or inside of the logarithm, and denominators: Khosla et al., 2020, section 3.2.2.

Top-1 accuracy of a ResNet-50 on ImageNet in percent: outside 78.7, inside 67.4 (Table 1). The paper
has all other rows of the batch in the denominator. The other two denominators are options of its
official code without published values; one positive is also the loss SINCERE.
"""

from experiments.grids import Claim, Row

ROWS = [
    Row("sum outside, all rows in the denominator"),
    Row("sum inside", changes={"loss.summation": "inside"}),
    Row("one positive in the denominator", changes={"loss.denominator": "one_positive"}),
    Row("only negatives in the denominator", changes={"loss.denominator": "only_negatives"}),
]

CLAIMS = [
    Claim("The sum outside is better than inside (SupCon, Table 1)", ROWS[0].name, "sum inside"),
    *(Claim(f"All rows are better than {row.name}", ROWS[0].name, row.name) for row in ROWS[2:]),
]
