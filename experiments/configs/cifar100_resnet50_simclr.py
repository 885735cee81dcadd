r"""SimCLR on CIFAR-100 with a ResNet-50, after the authors' PyTorch code.

    python -m experiments.pretrain --config=experiments/configs/cifar100_resnet50_simclr.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 70.7 % linear accuracy (the README of the code; Khosla et al., 2020, Table 2). It is the
best epoch on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings and requirements: those of cifar10_resnet50_simclr.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_simclr, common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return common.on_cifar100(cifar10_resnet50_simclr.get_config())
