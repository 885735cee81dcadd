r"""UniMoCo on ImageNet, ResNet-50, with a part of the labels: 71.1 to 76.4 % top-1.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50_unimoco.py \
        --config.data_dir=DIRECTORY --config.labeled_fraction=0.1 --strategy=mirrored
    python -m experiments.linear_eval  (the same flags)

Published: linear top-1 with 0, 10, 30, 60, 100 % of the labels: 71.1, 72.0, 75.1, 76.2, 76.4 %
(Dai et al., 2021, https://arxiv.org/abs/2103.10773, and https://github.com/dddzg/unimoco). Settings
from there: batch 256 on 8 GPUs, 800 epochs, learning rate 0.03, temperature 0.2, the head and the
augmentation of MoCo v2, cosine schedule; queue and momentum are MoCo's. An image without a label
has only its own key as a positive. Batch normalization is synchronized, which makes MoCo's shuffled
batches needless. Not confirmed, and chosen here: the linear stage, MoCo's (SGD, learning rate 30,
100 epochs, a tenth of it after 60 and 80).

Needs: 8 GPUs with 16 GB. Run here: small, in the tests.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50_memory


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50_memory.get_config()
    config.epochs = 800
    config.momentum_encoder.queue_size = 65536
    config.loss.temperature = 0.2
    config.optimizer.schedule.warmup_epochs = 0
    config.linear.epochs = 100
    config.linear.batch_statistics = False
    config.linear.augmentation.policy = "crop_flip"
    config.linear.augmentation.crop = "torchvision"
    config.linear.optimizer = ConfigDict(
        dict(
            name="sgd",
            learning_rate=30.0,  # for 256
            arguments=dict(momentum=0.9),
            schedule=dict(
                name="steps", epochs=(60, 80), factor=0.1, warmup_epochs=0, warmup_start=0.0
            ),
        )
    )
    return config
