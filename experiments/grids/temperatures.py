"""Temperatures: Khosla et al., 2020, Figure 4 (d).

On ImageNet 0.1 was best; between the best and the worst temperature lie nearly 3 percent points
(section 10). The plotted values are not published as numbers.
"""

from experiments.grids import Claim, Row

ROWS = [
    Row(str(temperature), changes={"loss.temperature": temperature}, x=temperature, series="SupCon")
    for temperature in (0.05, 0.1, 0.2, 0.4, 0.8)
]

CLAIMS = [
    Claim("0.1 is better than lower temperatures (SupCon, Figure 4 d)", "0.1", "0.05"),
    Claim("0.1 is better than high temperatures (SupCon, Figure 4 d)", "0.1", "0.8"),
]
X_LABEL = "temperature"
