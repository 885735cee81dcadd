r"""SupCon on ImageNet, ResNet-101, as in the authors' official TensorFlow code: 80.2 % top-1.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet101.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (the same flags)

Published: 80.2 % top-1, 94.7 % top-5 (Khosla et al., 2020, Table 3), there with Stacked
RandAugment; the script, which this follows, says AutoAugment.

Needs: batch 4096, 350 epochs, then 90; 128 TPU cores in the paper. Data and smaller machines: see
imagenet_resnet50. Run here: small, in the tests.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50.get_config()
    config.encoder.depth = 101
    config.batch_size = config.linear.batch_size = 4096
    config.optimizer.arguments.weight_decay = 1e-4
    return config
