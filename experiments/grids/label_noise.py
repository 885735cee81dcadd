"""Label noise: a fraction of the training images has the label of another class.

The papers do not measure it. Khosla et al., 2020, section 1, name the lack of robustness to noisy
labels among the shortcomings of cross-entropy.
"""

from experiments.grids import Claim, Row

NOISES = (0.0, 0.2, 0.4)
ROWS = [
    Row(f"{method}, {noise:.0%} noise", recipe, {"label_noise": noise} if noise else {})
    for noise in NOISES
    for method, recipe in (("SupCon", ""), ("cross-entropy", "_cross_entropy"))
]

CLAIMS = [
    Claim(
        f"SupCon is above cross-entropy with {noise:.0%} noise",
        f"SupCon, {noise:.0%} noise",
        f"cross-entropy, {noise:.0%} noise",
    )
    for noise in NOISES[1:]
]
