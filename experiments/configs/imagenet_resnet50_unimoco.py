r"""UniMoCo on ImageNet with a ResNet-50 and a part of the labels.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50_unimoco.py \
        --config.data_dir=DIRECTORY --config.labeled_fraction=0.1 --strategy=mirrored
    python -m experiments.linear_eval  (with the same flags)

Published, as linear top-1 (Dai et al., 2021, https://arxiv.org/abs/2103.10773, and
https://github.com/dddzg/unimoco):

    labels   0 %      10 %     30 %     60 %     100 %
    top-1    71.1 %   72.0 %   75.1 %   76.2 %   76.4 %

Measured: nothing. The tests build a small version.

Settings from there: batch 256 on 8 GPUs, 800 epochs, learning rate 0.03, temperature 0.2, the head
and the augmentation of MoCo v2, and a cosine schedule. The size of the queue and the momentum are
those of MoCo. The only positive of an unlabeled image is its own key. Batch normalization is
synchronized, which replaces MoCo's shuffled batches. Chosen here, since it is not published: the
linear stage of MoCo (SGD, learning rate 30, 100 epochs, divided by ten after 60 and 80).

Requirements: 8 GPUs with 16 GB.
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
            learning_rate=30.0,
            arguments=dict(momentum=0.9),
            schedule=dict(
                name="steps", epochs=(60, 80), factor=0.1, warmup_epochs=0, warmup_start=0.0
            ),
        )
    )
    return config
