r"""GenSCL with Mixup and CutMix on 10,000 images of CIFAR-10.

    python -m experiments.pretrain \
        --config=experiments/configs/cifar10_small_genscl_mix.py --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: nothing.
Measured: with epochs=60, 0.6454 ± 0.0064 test accuracy, see docs/results.md.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_small


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_small.get_config()
    config.loss.name = "generalized"
    config.mixing.kind = "mixup_cutmix"
    return config
