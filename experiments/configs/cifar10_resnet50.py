r"""SupCon on CIFAR-10 with a ResNet-50, after the authors' PyTorch code.

    python -m experiments.pretrain --config=experiments/configs/cifar10_resnet50.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: 96.0 % linear accuracy (Khosla et al., 2020, Table 2, and the README of the code). It is
the best epoch of the linear stage on the test set; this recipe reports the last epoch.
Measured: nothing. The tests train three steps of the whole model and a small version.

Settings: the README and the scripts of the authors' PyTorch code, with its base temperature of
0.07. The code updates the learning rate once per epoch; this recipe updates it every step.

Requirements: batch 1024, 1000 epochs, then 100. The compiler for an H100 plans 54 GB in float32;
with --config.dtype_policy=mixed_bfloat16 about half of it. With less memory, use several GPUs
(--strategy=mirrored) or set --config.micro_batch_size=256.
"""

from ml_collections import ConfigDict

from experiments.configs import common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = common.default_config()
    config.update(
        dataset="cifar10",
        image_size=32,
        test_short_side=32,
        batch_size=1024,
        epochs=1000,
        augmentation=dict(
            policy="sim_augment",
            scale=(0.2, 1.0),
            flip=True,
            crop="torchvision",
            strength=0.5,
            jitter="torchvision",
        ),
        encoder=dict(
            depth=50,
            stem="cifar",
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2023, 0.1994, 0.2010),
            zero_init_last_gamma=False,
            kernel_initializer="he_fan_out",
            normalize=False,
            synchronized_batch_norm=False,
        ),
        projection_head=dict(widths=(2048, 128)),
        loss=dict(temperature=0.1, base_temperature=0.07),
        optimizer=dict(
            name="sgd",
            learning_rate=0.125,  # 0.5 for 1024 images
            arguments=dict(momentum=0.9, weight_decay=1e-4, exclude=()),
            schedule=dict(name="cosine", final=1e-3, warmup_epochs=10, warmup_start=0.01),
        ),
        linear=dict(
            batch_size=512,
            epochs=100,
            augmentation=dict(policy="crop_flip", scale=(0.2, 1.0), flip=True, crop="torchvision"),
            optimizer=dict(
                name="sgd",
                learning_rate=2.5,  # 5 for 512 images
                arguments=dict(momentum=0.9),
                schedule=dict(
                    name="steps",
                    epochs=(60, 75, 90),
                    factor=0.2,
                    warmup_epochs=0,
                    warmup_start=0.0,
                ),
            ),
        ),
    )
    return config
