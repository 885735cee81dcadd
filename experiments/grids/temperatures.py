"""Temperatures: Khosla et al., 2020, Figure 4 (d).

On ImageNet 0.1 was best; between the best and the worst temperature lie nearly 3 percent points
(section 10). The plotted values are not published as numbers.
"""

from experiments.grids import Row

ROWS = [
    Row(str(temperature), changes={"loss.temperature": temperature})
    for temperature in (0.05, 0.1, 0.2, 0.4, 0.8)
]
