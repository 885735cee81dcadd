r"""SimCLR on ImageNet with a ResNet-50, after SupCon's official TensorFlow code.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50_simclr.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (with the same flags)

Published: 70.2 % top-1 (Khosla et al., 2020, Table 2).
Measured: nothing. The tests train a step of a small version.

Settings from that code: a projection head with batch normalization, representations that are not
normalized, a loss that is not multiplied by the temperature, and SimAugment with blur. The other
settings of that row are not published. From the paper of SimCLR (Chen et al., 2020,
https://arxiv.org/abs/2002.05709): batch 4096, 1000 epochs, learning rate 0.3, weight decay 1e-6,
and a warm-up of 10 epochs.

Requirements: 128 TPU cores. Data and smaller machines: see imagenet_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50.get_config()
    config.labeled_fraction = 0.0
    config.batch_size = config.linear.batch_size = 4096
    config.epochs = 1000
    config.encoder.normalize = False
    config.projection_head.widths = (2048, 2048, 128)
    config.projection_head.batch_norm = True
    config.loss = ConfigDict(dict(name="supcon", temperature=0.1))
    config.optimizer.learning_rate = 0.3
    config.optimizer.arguments.weight_decay = 1e-6
    config.optimizer.schedule.warmup_epochs = 10
    config.augmentation = ConfigDict(
        dict(
            policy="sim_augment",
            scale=(0.08, 1.0),
            flip=True,
            crop="tensorflow",
            strength=1.0,
            jitter="tensorflow",
            blur=True,
        )
    )
    config.linear.augmentation.policy = "crop_flip"
    return config
