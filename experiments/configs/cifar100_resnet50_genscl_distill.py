r"""GenSCL with a teacher on CIFAR-100 with a ResNet-50.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar100_efficientnetv2_teacher.py --config.data_dir=DIRECTORY
    python -m experiments.pretrain \
        --config=experiments/configs/cifar100_resnet50_genscl_distill.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 82.5 % linear accuracy (Kim et al., 2022, first version, Table 1). It is the best epoch
of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings: the authors' code of the first version. The training of the teacher was not published.

Requirements: batch 1024, 500 epochs, then 100; otherwise those of cifar100_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_genscl_distill, common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = common.on_cifar100(cifar10_resnet50_genscl_distill.get_config())
    config.teacher.path = "runs/cifar100_efficientnetv2_teacher/classifier.keras"
    return config
