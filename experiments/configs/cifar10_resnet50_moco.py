r"""SupCon with the queue of MoCo on CIFAR-10 with a ResNet-50.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50_moco.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published, as linear accuracy (the README of https://github.com/zhangyifei01/MoCo-v2-SupContrast):

    epochs   sum inside the logarithm   sum outside   MoCo v2 without labels
    200      95.4 %                                   87.4 %
    1000     96.1 %                     96.1 %        93.6 %

This recipe trains 200 epochs with `summation="inside"`; --config.labeled_fraction=0.0 trains
without labels.
Measured: nothing. The tests build a small version.

Settings: batch, queue, temperature, learning rate and cosine schedule from there; the linear stage
of cifar10_resnet50. Chosen here, since it is not published: the augmentation of cifar10_resnet50,
and a momentum of 0.99, because 0.999 averages over five epochs of CIFAR-10.

Requirements: a GPU with 8 GB.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.batch_size, config.epochs = 256, 200
    config.momentum_encoder = ConfigDict(dict(queue_size=4096, momentum=0.99))
    config.loss = ConfigDict(dict(name="supcon", temperature=0.2, summation="inside"))
    config.optimizer.learning_rate = 0.12
    config.optimizer.schedule.final = 0.0
    config.optimizer.schedule.warmup_epochs = 0
    return config
