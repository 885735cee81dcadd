r"""SupCon on ImageNet, ResNet-200, as in the authors' official TensorFlow code: 81.4 % top-1.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet200.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (the same flags)

Published: 81.4 % top-1, 95.9 % top-5 (Khosla et al., 2020, Table 3). Settings: its script for
ResNet-200, with Stacked RandAugment of strength 1.

Needs: batch 4096, 700 epochs, then 90; 256 TPU cores in the paper. Data and smaller machines: see
imagenet_resnet50. Run here: small, in the tests.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet101


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet101.get_config()
    config.encoder.depth = 200
    config.epochs = 700
    config.optimizer.learning_rate = 0.2  # 3.2 for 4096
    stacked = dict(
        policy="stacked_rand_augment",
        area=(0.08, 1.0),
        flip=True,
        crop="tensorflow",
        strength=1.0,
        jitter="tensorflow",
    )
    config.augmentation = ConfigDict(stacked)
    config.linear.augmentation = ConfigDict(stacked)
    return config
