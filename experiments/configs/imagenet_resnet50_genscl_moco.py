r"""GenSCL with MoCo's queue of label distributions on ImageNet with a ResNet-50.

    python -m experiments.pretrain --config=experiments/configs/imagenet_resnet50_genscl_moco.py \
        --config.data_dir=DIRECTORY --strategy=mirrored
    python -m experiments.linear_eval  (with the same flags)

Published: 77.3 % top-1 "with Momentum Contrast" (Kim et al., second version, abstract), without
code.
Measured: nothing. The tests train a step of a small version.

Settings: the abstract names CutMix and distillation. Chosen here, since the rest is not published:
  - the queue, momentum, temperature, head, augmentation, optimizer and linear stage of
    imagenet_resnet50_unimoco, the published recipe with labels in a queue;
  - 200 epochs, the shorter of the two schedules of MoCo v2, because 77.3 % is below the 78.7 % that
    SupCon reaches with long schedules;
  - CutMix with alpha 1, as in the authors' code for CIFAR;
  - the classifier of imagenet_resnet50_cross_entropy as the teacher. Any classifier of the 1000
    classes for views of 224 pixels in [0, 1] can teach (--config.teacher.path=FILE), and
    --config.teacher.path="" trains without one.

Requirements: 8 GPUs with 16 GB. The queue holds the label distributions and those of the teacher:
2 x 65,536 x 1000 float32, 0.5 GB on every GPU.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50_unimoco


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50_unimoco.get_config()
    config.epochs = 200
    config.loss.name = "generalized"
    config.mixing.kind = "cutmix"
    config.teacher.path = "runs/imagenet_resnet50_cross_entropy/classifier.keras"
    return config
