r"""SupCon on ImageNet with a ResNet-200, after the authors' official TensorFlow code.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet200.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (with the same flags)

Published: 81.4 % top-1, 95.9 % top-5 (Khosla et al., 2020, Table 3).
Measured: nothing. The tests build a small version.

Settings: the script for ResNet-200 of that code, with Stacked RandAugment of strength 1.

Requirements: batch 4096, 700 epochs, then 90; 256 TPU cores in the paper. Data and smaller
machines: see imagenet_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet101


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet101.get_config()
    config.encoder.depth = 200
    config.epochs = 700
    config.optimizer.learning_rate = 0.2  # 3.2 for 4096 images
    for stage in (config, config.linear):
        stage.augmentation = ConfigDict(
            dict(
                policy="stacked_rand_augment",
                scale=(0.08, 1.0),
                flip=True,
                crop="tensorflow",
                strength=1.0,
                jitter="tensorflow",
            )
        )
    return config
