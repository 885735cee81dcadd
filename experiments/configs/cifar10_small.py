r"""SupCon on 10,000 images of CIFAR-10: both stages in about 6 minutes on 2 cores.

    python -m experiments.pretrain --config=experiments/configs/cifar10_small.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

The small protocol for natural images with which `python -m experiments.ablate` compares methods and
settings. The first convolution and the pooling of the encoder reduce the images to a quarter of
their resolution, which leaves time for more epochs. The grid `selection` chose the settings on
held-out training images.

Published: nothing.
Measured: 0.6526 ± 0.0048 test accuracy, see docs/results.md.
"""

from ml_collections import ConfigDict

from experiments.configs import digits_small


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = digits_small.get_config()
    config.dataset = "cifar10"
    config.train_images = 10_000
    config.image_size = config.test_short_side = 32
    config.batch_size, config.epochs = 256, 30
    config.augmentation.flip = True
    config.augmentation.scale = (0.5, 1.0)
    config.augmentation.strength = 0.25
    config.encoder.stem = "imagenet"
    config.encoder.mean = (0.4914, 0.4822, 0.4465)
    config.encoder.std = (0.2470, 0.2435, 0.2616)
    config.loss.temperature = 0.1
    config.optimizer.learning_rate = 0.5
    config.optimizer.arguments.weight_decay = 5e-4
    config.linear.batch_size, config.linear.epochs = 256, 10
    config.linear.augmentation.flip = True
    return config
