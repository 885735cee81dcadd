r"""SupCon on CIFAR-10 with a ConvNeXt-Tiny.

    python -m experiments.pretrain --config=experiments/configs/cifar10_convnext.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

Published: nothing for SupCon with a ConvNeXt on CIFAR-10.
Measured: nothing. The tests translate a step of a small version for XLA.

Settings: AdamW with weight decay 0.05, a peak learning rate of 0.00025 per 256 images, stochastic
depth 0.1, 20 epochs of warm-up and a cosine decay, as Liu et al., 2022 (Table 5), train
ConvNeXt-Tiny on ImageNet. Their code does not decay biases and normalizations; this recipe does.
Everything else is that of cifar10_resnet50, with 500 epochs, which were chosen here.

Requirements: batch 1024, 500 epochs, then 100. In bfloat16, the compilers plan 48 GB for an H100,
and 14.7 GB for a TPU v5e chip.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_resnet50.get_config()
    config.epochs = 500
    config.dtype_policy = "mixed_bfloat16"
    config.encoder = ConfigDict(
        dict(
            name="convnext",
            variant="tiny",
            stem="cifar",
            drop_path_rate=0.1,
            mean=config.encoder.mean,
            std=config.encoder.std,
        )
    )
    config.optimizer = ConfigDict(
        dict(
            name="adamw",
            learning_rate=2.5e-4,  # 0.001 for 1024 images
            arguments=dict(weight_decay=0.05),
            schedule=dict(name="cosine", final=0.0, warmup_epochs=20, warmup_start=0.0),
        )
    )
    return config
