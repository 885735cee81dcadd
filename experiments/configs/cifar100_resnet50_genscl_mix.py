r"""GenSCL with Mixup and CutMix on CIFAR-100 with a ResNet-50.

    python -m experiments.pretrain \
        --config=experiments/configs/cifar100_resnet50_genscl_mix.py --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 82.8 % linear accuracy (Kim et al., 2022, first version, Table 1). It is the best epoch
of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings: the authors' code of the first version. It updates the learning rate once per epoch; this
recipe updates it every step.

Requirements: batch 1024, 500 epochs, then 100; otherwise those of cifar100_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_genscl_mix, common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return common.on_cifar100(cifar10_resnet50_genscl_mix.get_config())
