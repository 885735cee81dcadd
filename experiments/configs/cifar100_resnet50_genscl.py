r"""GenSCL with Mixup, CutMix and a teacher on CIFAR-100, ResNet-50: 84.7 % linear accuracy.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar100_efficientnetv2_teacher.py --config.data_dir=DIRECTORY
    python -m experiments.pretrain \
        --config=experiments/configs/cifar100_resnet50_genscl.py --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (the same flags)

Published: 84.7 % (Kim et al., 2022, first version, Table 1), the best epoch of the linear stage
on the test set; here it is the last one. The second version reports 87.0 % without code; what
changed is not known. Settings: the authors' code of the first version; the teacher's own training
was not published.

Needs: batch 1024, 500 epochs, then 100; otherwise as cifar100_resnet50. Run here: small, in the
tests.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar100_resnet50_genscl_mix


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar100_resnet50_genscl_mix.get_config()
    config.teacher.path = "runs/cifar100_efficientnetv2_teacher/classifier.keras"
    return config
