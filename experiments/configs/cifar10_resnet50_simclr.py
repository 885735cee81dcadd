r"""SimCLR on CIFAR-10 with a ResNet-50, after the authors' PyTorch code.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50_simclr.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 93.6 % linear accuracy (the README of the code; Khosla et al., 2020, Table 2). It is the
best epoch of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings: the SupCon loss of unlabeled images is the loss of SimCLR.

Requirements: those of cifar10_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.labeled_fraction = 0.0
    config.loss.temperature = 0.5
    config.linear.optimizer.learning_rate = 0.5  # 1 for 512 images
    return config
