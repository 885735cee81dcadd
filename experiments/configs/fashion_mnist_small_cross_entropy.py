r"""Cross-entropy on Fashion-MNIST: the baseline of fashion_mnist_small, on the same views.

    python -m experiments.cross_entropy \
        --config=experiments/configs/fashion_mnist_small_cross_entropy.py

No published result; see README.md for what comes out.
"""

from ml_collections import ConfigDict

from experiments.configs import fashion_mnist_small


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = fashion_mnist_small.get_config()
    config.label_smoothing = 0.0
    return config
