r"""SupCon with a queue of 8192 embeddings on ImageNet with a ResNet-50.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50_memory.py \
        --config.data_dir=DIRECTORY --strategy=mirrored
    python -m experiments.linear_eval  (with the same flags)

Published: 79.1 % top-1 with a batch of 256 and SGD on 8 V100 (Khosla et al., 2020, section 4.1),
without code.
Measured: nothing. The tests train a step of a small version.

Settings: an author recalls the hyper-parameters of MoCo v2 (He et al., 2020,
https://arxiv.org/abs/2003.04297) except for the size of the queue, a temperature of 0.07, and a
batch of 1024 (https://github.com/HobbitLong/SupContrast/issues/120). The paper states a batch of
256, which this recipe uses. Chosen here, since it is not published: embeddings in the queue of the
same class are positives; 350 epochs, as in the paper's other ResNet-50; a warm-up of 10 epochs.
Batch normalization is synchronized, which replaces MoCo's shuffled batches.

Requirements: 8 GPUs with 16 GB.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50.get_config()
    config.batch_size = config.linear.batch_size = 256
    config.encoder.normalize = False
    config.encoder.zero_init_last_gamma = False
    config.encoder.kernel_initializer = "he_fan_out"
    config.encoder.pool_padding = "symmetric"
    config.projection_head.widths = (2048, 128)
    config.momentum_encoder = ConfigDict(dict(queue_size=8192, momentum=0.999))
    config.loss = ConfigDict(dict(name="supcon", temperature=0.07))
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.03
    config.optimizer.arguments = ConfigDict(dict(momentum=0.9, weight_decay=1e-4))
    config.optimizer.schedule.warmup_epochs = 10
    config.augmentation = ConfigDict(
        dict(
            policy="sim_augment",
            scale=(0.2, 1.0),
            flip=True,
            crop="torchvision",
            strength=0.5,
            jitter="torchvision",
            blur=True,
        )
    )
    return config
