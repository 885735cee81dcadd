r"""GenSCL with Mixup and CutMix on 10,000 images of Fashion-MNIST.

    python -m experiments.pretrain \
        --config=experiments/configs/fashion_mnist_10k_genscl_mix.py
    python -m experiments.linear_eval  (the same flags)

No published result; see README.md for what comes out. Otherwise as fashion_mnist_10k.
"""

from ml_collections import ConfigDict

from experiments.configs import fashion_mnist_10k


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = fashion_mnist_10k.get_config()
    config.loss.name = "generalized"
    config.mixing.kind = "mixup_cutmix"
    return config
