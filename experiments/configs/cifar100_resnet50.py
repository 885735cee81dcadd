r"""SupCon on CIFAR-100 with a ResNet-50, after the authors' PyTorch code.

    python -m experiments.pretrain --config=experiments/configs/cifar100_resnet50.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 76.5 % linear accuracy (Khosla et al., 2020, Table 2, and the README of the code). It is
the best epoch on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings and requirements: those of cifar10_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50, common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return common.on_cifar100(cifar10_resnet50.get_config())
