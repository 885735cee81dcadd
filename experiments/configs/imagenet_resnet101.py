r"""SupCon on ImageNet with a ResNet-101, after the authors' official TensorFlow code.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet101.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (with the same flags)

Published: 80.2 % top-1, 94.7 % top-5 (Khosla et al., 2020, Table 3).
Measured: nothing. The tests build a small version.

Settings: the script for ResNet-101 of that code. The script uses AutoAugment, and so does this
recipe; Table 3 states Stacked RandAugment.

Requirements: batch 4096, 350 epochs, then 90; 128 TPU cores in the paper. Data and smaller
machines: see imagenet_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50.get_config()
    config.encoder.depth = 101
    config.batch_size = config.linear.batch_size = 4096
    config.optimizer.arguments.weight_decay = 1e-4
    return config
