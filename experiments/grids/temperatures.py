"""Temperatures, with the sum outside and inside: Khosla et al., 2020, Figure 4 (d) and Table 1.

On ImageNet 0.1 is best, and the worst temperature is nearly 3 percentage points below it (section
10). The plotted values are not published as numbers. The paper compares the sums at 0.1.
"""

from experiments.grids import Claim, Row

TEMPERATURES = (0.05, 0.1, 0.2, 0.4, 0.8)
ROWS = [
    *(
        Row(
            f"sum outside, {value}",
            changes={"loss.temperature": value},
            x=value,
            series="sum outside",
        )
        for value in TEMPERATURES
    ),
    *(
        Row(
            f"sum inside, {value}",
            changes={"loss.summation": "inside", "loss.temperature": value},
            x=value,
            series="sum inside",
        )
        for value in TEMPERATURES
    ),
]

CLAIMS = [
    Claim(
        "0.1 is better than lower temperatures (SupCon, Figure 4 d)",
        "sum outside, 0.1",
        "sum outside, 0.05",
    ),
    Claim(
        "0.1 is better than high temperatures (SupCon, Figure 4 d)",
        "sum outside, 0.1",
        "sum outside, 0.8",
    ),
    Claim(
        "At 0.1 the sum outside is better than inside (SupCon, Table 1)",
        "sum outside, 0.1",
        "sum inside, 0.1",
    ),
]
X_LABEL = "temperature"
