r"""EfficientNetV2-M as a teacher for CIFAR-100, with Mixup, CutMix and averaged weights.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar100_efficientnetv2_teacher.py --config.data_dir=DIRECTORY

Published results, settings and requirements: see cifar10_efficientnetv2_teacher.
Measured: nothing. The tests build a small version of cifar10_efficientnetv2_teacher.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_efficientnetv2_teacher, common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    return common.on_cifar100(cifar10_efficientnetv2_teacher.get_config())
