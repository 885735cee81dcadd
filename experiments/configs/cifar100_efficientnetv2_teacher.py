r"""EfficientNetV2-M as a teacher for CIFAR-100: Mixup, CutMix and averaged weights.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar100_efficientnetv2_teacher.py --config.data_dir=DIRECTORY

As cifar10_efficientnetv2_teacher, which says what is published and what is chosen here.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_efficientnetv2_teacher, cifar100_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_efficientnetv2_teacher.get_config()
    config.dataset = "cifar100"
    config.encoder.mean = cifar100_resnet50.get_config().encoder.mean
    config.encoder.std = cifar100_resnet50.get_config().encoder.std
    return config
