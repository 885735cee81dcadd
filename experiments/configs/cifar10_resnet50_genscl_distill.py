r"""GenSCL with a teacher on CIFAR-10 with a ResNet-50.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar10_efficientnetv2_teacher.py --config.data_dir=DIRECTORY
    python -m experiments.pretrain \
        --config=experiments/configs/cifar10_resnet50_genscl_distill.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 97.1 % linear accuracy (Kim et al., 2022, first version, Table 1). It is the best epoch
of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests build a small version.

Settings: the authors' code of the first version. The training of the teacher was not published.

Requirements: batch 1024, 500 epochs, then 100; otherwise those of cifar10_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_genscl_mix


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50_genscl_mix.get_config()
    config.mixing.kind = ""
    config.teacher.path = "runs/cifar10_efficientnetv2_teacher/classifier.keras"
    return config
