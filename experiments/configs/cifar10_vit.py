r"""SupCon on CIFAR-10 with a vision transformer, a ViT-S with patches of 4 pixels.

    python -m experiments.pretrain --config=experiments/configs/cifar10_vit.py \
        --config.data_dir=DIRECTORY
    python -m experiments.linear_eval  (with the same flags)

The encoder needs KerasHub: pip install "supcon-tf[vit]".

Published: nothing for SupCon with a vision transformer on CIFAR-10.
Measured: nothing. The tests translate a step of a small version for XLA.

Settings: AdamW with weight decay 0.1, a peak learning rate of 0.00015 per 256 images, 40 epochs of
warm-up and a cosine decay, as the code of MoCo v3 (Chen et al., 2021,
https://arxiv.org/abs/2104.02057) trains a ViT-S with a contrastive loss on ImageNet. That code
freezes the embedding of the patches; this recipe trains it. Everything else is that of
cifar10_resnet50, with 500 epochs and patches of 4 pixels, which were chosen here.

Requirements: batch 1024, 500 epochs, then 100. The compiler for a TPU v5e plans 15.3
GB in bfloat16, that for an H100 28.8 GB.
"""

from ml_collections import ConfigDict

from experiments.configs import cifar10_convnext


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = cifar10_convnext.get_config()
    config.encoder = ConfigDict(
        dict(
            name="vit",
            patch_size=4,
            num_layers=12,
            num_heads=6,
            hidden_dim=384,
            pooling="token",
            mean=config.encoder.mean,
            std=config.encoder.std,
        )
    )
    config.optimizer.learning_rate = 1.5e-4  # 0.0006 for 1024 images
    config.optimizer.arguments.weight_decay = 0.1
    config.optimizer.schedule.warmup_epochs = 40
    return config
