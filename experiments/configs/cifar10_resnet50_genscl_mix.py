r"""GenSCL with Mixup and CutMix on CIFAR-10 with a ResNet-50.

    python -m experiments.pretrain \
        --config=experiments/configs/cifar10_resnet50_genscl_mix.py --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 97.3 % linear accuracy (Kim et al., 2022, first version, Table 1). It is the best epoch
of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings: the authors' code of the first version. It updates the learning rate once per epoch; this
recipe updates it every step.

Requirements: batch 1024, 500 epochs, then 100; otherwise those of cifar10_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.epochs = 500
    config.loss.name = "generalized"
    config.mixing.kind = "mixup_cutmix"
    config.linear.optimizer.schedule.warmup_epochs = 5
    config.linear.optimizer.schedule.warmup_start = 1e-5
    config.linear.optimizer.schedule.epochs = (55, 70, 85)  # after the warm-up: 60, 75, 90
    return config
