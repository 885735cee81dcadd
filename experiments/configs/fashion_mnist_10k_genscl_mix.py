r"""GenSCL with Mixup and CutMix on 10,000 images of Fashion-MNIST.

    python -m experiments.pretrain \
        --config=experiments/configs/fashion_mnist_10k_genscl_mix.py
    python -m experiments.linear_eval  (with the same flags)

Published: nothing.
Measured: 0.8621 ± 0.0025 test accuracy (docs/results.md).
"""

from ml_collections import ConfigDict

from experiments.configs import fashion_mnist_10k


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = fashion_mnist_10k.get_config()
    config.loss.name = "generalized"
    config.mixing.kind = "mixup_cutmix"
    return config
