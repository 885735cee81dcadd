r"""SimCLR on CIFAR-10, ResNet-50, as in the reference PyTorch code: 93.6 % linear accuracy.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50_simclr.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (the same flags)

Published: 93.6 % (the code's README; Khosla et al., 2020, Table 2), the best epoch of the linear
stage on the test set; here it is the last one. SupCon of samples without labels is SimCLR's loss.

Needs: as cifar10_resnet50. Run here: small, in the tests.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.labeled_fraction = 0.0
    config.loss.temperature = 0.5
    config.linear.optimizer.learning_rate = 0.5  # 1 for 512
    return config
