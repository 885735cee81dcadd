r"""Cross-entropy on 10,000 images of Fashion-MNIST: the baseline of fashion_mnist_10k.

    python -m experiments.cross_entropy \
        --config=experiments/configs/fashion_mnist_10k_cross_entropy.py

It sees one view of an image where SupCon sees two. No published result; see README.md for what
comes out.
"""

from ml_collections import ConfigDict

from experiments.configs import fashion_mnist_10k


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = fashion_mnist_10k.get_config()
    config.label_smoothing = 0.0
    return config
