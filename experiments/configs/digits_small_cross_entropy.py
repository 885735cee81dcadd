r"""Cross-entropy on the digits of scikit-learn: the baseline of digits_small, on the same views.

    python -m experiments.cross_entropy \
        --config=experiments/configs/digits_small_cross_entropy.py

No published result; see README.md for what comes out.
"""

from ml_collections import ConfigDict

from experiments.configs import digits_small


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = digits_small.get_config()
    config.label_smoothing = 0.0
    return config
