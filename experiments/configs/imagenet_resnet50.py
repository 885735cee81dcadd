r"""SupCon on ImageNet with a ResNet-50, after the authors' official TensorFlow code.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50.py \
        --config.data_dir=DIRECTORY --strategy=tpu
    python -m experiments.linear_eval  (with the same flags)

Published: 78.7 % top-1, 94.3 % top-5 (Khosla et al., 2020, Table 3).
Measured: nothing. The tests train a step of a small version, and a step of 48 images of 224 pixels
was compiled for one TPU v5e core (README.md).

Settings: the script for ResNet-50 of that code. Chosen here, since the script does not state it:
the decay of the linear stage begins after its warm-up.

Data: DIRECTORY holds `train` and `val` with one directory of images per class, or imagenet2012
prepared by TensorFlow Datasets, as TFRecord or ArrayRecord files, which stay on disk.

Requirements: batch 6144, 350 epochs, then 90; 128 TPU cores in the paper. On smaller machines: a
batch of 2048 is "sufficient for most purposes" and 200 epochs "likely sufficient" (section 4.5).
The learning rate scales with the batch, and --config.micro_batch_size fits any batch into memory.
"""

from ml_collections import ConfigDict

from experiments.configs import common


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = common.default_config()
    config.update(
        dataset="imagenet2012",
        image_size=224,
        test_short_side=256,
        dtype_policy="mixed_bfloat16",
        batch_size=6144,
        epochs=350,
        augmentation=dict(policy="auto_augment", scale=(0.08, 1.0), flip=True, crop="tensorflow"),
        encoder=dict(
            depth=50,
            stem="imagenet",
            mean=(0.5, 0.5, 0.5),  # scales the pixels to [-1, 1]
            std=(0.5, 0.5, 0.5),
            zero_init_last_gamma=True,
            kernel_initializer="lecun_normal",
            pool_padding="same",
            normalize=True,
            synchronized_batch_norm=True,
        ),
        projection_head=dict(widths=(128,)),
        loss=dict(temperature=0.1, base_temperature=1.0),
        optimizer=dict(
            name="lars",
            learning_rate=0.4,  # 9.6 for 6144 images
            arguments=dict(momentum=0.9, weight_decay=1e-3),
            schedule=dict(name="cosine", final=0.0, warmup_epochs=12, warmup_start=0.0),
        ),
        linear=dict(
            batch_size=6144,
            epochs=90,
            batch_statistics=True,
            augmentation=dict(
                policy="auto_augment", scale=(0.08, 1.0), flip=True, crop="tensorflow"
            ),
            optimizer=dict(
                name="rmsprop",
                learning_rate=0.05,  # 1.2 for 6144 images
                arguments=dict(rho=0.9, momentum=0.9, epsilon=1e-3, weight_decay=1e-6),
                schedule=dict(
                    name="exponential",
                    every_epochs=0.5,
                    factor=0.97,
                    warmup_epochs=12,
                    warmup_start=0.0,
                ),
            ),
        ),
    )
    return config
