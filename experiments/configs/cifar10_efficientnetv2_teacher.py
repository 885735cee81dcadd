r"""EfficientNetV2-M as a teacher for CIFAR-10, with Mixup, CutMix and averaged weights.

    python -m experiments.train_teacher \
        --config=experiments/configs/cifar10_efficientnetv2_teacher.py --config.data_dir=DIRECTORY

Published: neither the code of the training nor the accuracy. The checkpoints of the teachers of Kim
et al., 2022, are named efficientnetv2_rw_m, ema, mixup_cutmix and Adam; their stem has stride 1.
Measured: nothing. The tests build a small version.

Settings chosen here: the official EfficientNetV2-M instead of timm's variant, 200 epochs of batch
256, a peak learning rate of 0.001 with a cosine decay and 10 epochs of warm-up, and an average of
momentum 0.999.

Requirements: a GPU with 16 GB in bfloat16.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50_cross_entropy


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50_cross_entropy.get_config()
    config.average_momentum = 0.999
    config.dtype_policy = "mixed_bfloat16"
    config.batch_size, config.epochs = 256, 200
    config.mixing.kind = "mixup_cutmix"
    config.encoder = ConfigDict(
        dict(
            name="efficientnet_v2",
            variant="m",
            stem="cifar",
            mean=config.encoder.mean,
            std=config.encoder.std,
        )
    )
    config.optimizer = ConfigDict(
        dict(
            name="adam",
            learning_rate=0.001,
            arguments=dict(),
            schedule=dict(name="cosine", final=0.0, warmup_epochs=10, warmup_start=0.0),
        )
    )
    return config
