r"""SupCon on CIFAR-10 with a ResNet-50, after the authors' official TensorFlow code.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50_official.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: "slightly" below the 96.0 % of the PyTorch code (the README of the official code).
Measured: nothing. The tests train a step of a small version.

Settings: the CIFAR-10 script of that code. It multiplies the loss by the temperature
(`scale_by_temperature`). Its linear stage normalizes by the statistics of the batch and does not
update the moving ones.

Requirements: batch 4096, 1000 epochs, then 100. On 8 devices, the compilers plan 27 GB on each
H100, and 15.6 GB on each TPU v5e chip. With less memory, set --config.micro_batch_size=256.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.batch_size = 4096
    config.encoder.mean = (0.4914, 0.48215, 0.4465)  # (-0.0172, -0.0356, -0.107) in [-1, 1]
    config.encoder.std = (0.2023, 0.1994, 0.2010)
    config.encoder.zero_init_last_gamma = True
    config.encoder.kernel_initializer = "lecun_normal"
    config.augmentation.crop = config.linear.augmentation.crop = "tensorflow"
    config.loss.base_temperature = 1.0
    config.optimizer.learning_rate = 0.5  # 8 for 4096 images
    config.optimizer.arguments.exclude = (r"/(gamma|beta)$",)
    config.optimizer.schedule.final = 0.0
    config.optimizer.schedule.warmup_start = 0.0
    config.linear.batch_size = 4096
    config.linear.batch_statistics = True
    return config
