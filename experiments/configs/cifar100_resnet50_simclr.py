r"""SimCLR on CIFAR-100, ResNet-50, as in the reference PyTorch code: 70.7 % linear accuracy.

    python -m experiments.pretrain \
        --config=experiments/configs/cifar100_resnet50_simclr.py --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (the same flags)

Published: 70.7 % (the code's README; Khosla et al., 2020, Table 2), the best epoch on the test set;
here it is the last one. Settings: those of cifar10_resnet50_simclr.

Needs: as cifar10_resnet50_simclr. Run here: small, in the tests.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_simclr


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50_simclr.get_config()
    config.dataset = "cifar100"
    config.encoder.mean = (0.5071, 0.4867, 0.4408)
    config.encoder.std = (0.2675, 0.2565, 0.2761)
    return config
