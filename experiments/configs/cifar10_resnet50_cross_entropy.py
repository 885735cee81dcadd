r"""Cross-entropy on CIFAR-10 with a ResNet-50, after the authors' PyTorch code.

    python -m experiments.cross_entropy \
        --config=experiments/configs/cifar10_resnet50_cross_entropy.py --config.data_dir=DIRECTORY

Published: 95.0 % (Khosla et al., 2020, Table 2, and the README of the code). It is the best epoch
on the test set; this recipe reports the last epoch.
Measured: nothing. The tests train a step of a small version.

Settings: the README of the authors' PyTorch code.

Requirements: batch 1024, 500 epochs. The compiler for an H100 plans 27 GB in float32.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.epochs = 500
    config.num_views = 1
    config.label_smoothing = 0.0
    config.augmentation = config.linear.augmentation
    config.optimizer.learning_rate = 0.2  # 0.8 for 1024 images
    return config
