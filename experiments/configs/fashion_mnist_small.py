"""SupCon on Fashion-MNIST with a small ResNet: both stages in about 25 minutes on 2 cores.

    python -m experiments.pretrain --config=experiments/configs/fashion_mnist_small.py
    python -m experiments.linear_eval --config=experiments/configs/fashion_mnist_small.py

No published result; see README.md for what comes out. `--config.data_dir` is where the MNIST-style
files are, by default where Debian's package dataset-fashion-mnist puts them. Temperature and
learning rate are those of the quickstart, chosen on held-out images
(docs/quickstart_comparison.md).
"""

from ml_collections import ConfigDict

from experiments.configs import digits_small


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = digits_small.get_config()
    config.dataset = "fashion_mnist"
    config.data_dir = "/usr/share/datasets/fashion-mnist"
    config.image_size = config.test_short_side = 28
    config.batch_size, config.epochs = 256, 8
    config.augmentation.flip = True
    config.optimizer.schedule.warmup_epochs = 1
    config.linear.batch_size, config.linear.epochs = 256, 4
    config.linear.augmentation.flip = True
    return config
