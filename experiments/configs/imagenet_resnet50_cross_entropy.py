r"""Cross-entropy on ImageNet with a ResNet-50, after SupCon's official TensorFlow code.

    python -m experiments.cross_entropy \
        --config=experiments/configs/imagenet_resnet50_cross_entropy.py \
        --config.data_dir=DIRECTORY --strategy=tpu

Published: 77.6 % top-1, 95.3 % top-5 (Khosla et al., 2020, Table 3, "our implementation", with
AutoAugment).
Measured: nothing. The tests train a step of a small version.

Settings: the script of that code, with Nesterov momentum and label smoothing of 0.05.

Requirements: batch 6144, 200 epochs; 128 TPU cores in the paper. Data and smaller machines: see
imagenet_resnet50.
"""

from ml_collections import ConfigDict

from experiments.configs import imagenet_resnet50


def get_config() -> ConfigDict:
    """Returns the recipe."""
    config = imagenet_resnet50.get_config()
    config.epochs = 200
    config.num_views = 1
    config.label_smoothing = 0.05
    config.encoder.normalize = False
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.1  # 2.4 for 6144 images
    config.optimizer.arguments = ConfigDict(
        dict(momentum=0.9, nesterov=True, weight_decay=1e-4, exclude=(r"/(gamma|beta)$",))
    )
    return config
