"""Reduces recipes to small models and images, with the same operations in a step."""

import pathlib

import keras
import numpy as np
from ml_collections import ConfigDict

from experiments import configs
from supcon_tf.data import ArrayImages

BATCH_SIZE = 8
# Arguments of small versions of the encoders that are not a ResNet.
_SMALLEST = {
    "efficientnet_v2": {"variant": "b0"},
    "convnext": {"variant": "tiny"},
    "vit": {"num_layers": 1, "num_heads": 2, "hidden_dim": 16},
}


def reduced_recipe(name: str, width: float = 1 / 16, depth: int | None = 10) -> ConfigDict:
    """Returns a recipe for small batches of images of 32 pixels, with few channels and layers.

    Args:
        name: the name of the recipe, without `.py`.
        width: the number of channels, relative to a ResNet of width 1.
        depth: the depth of a ResNet; `None` keeps the depth of the recipe.
    """
    config = configs.load_recipe(name)
    config.image_size = config.test_short_side = 32
    if "width" in config.encoder:
        config.encoder.width = width
        config.encoder.depth = depth or config.encoder.depth
    else:
        config.encoder.update(_SMALLEST[config.encoder.name])
    config.epochs = config.linear.epochs = 2
    config.batch_size = config.linear.batch_size = BATCH_SIZE
    if "momentum_encoder" in config:
        config.momentum_encoder.queue_size = 2 * BATCH_SIZE
    return config


def random_images(
    config: ConfigDict, number: int = BATCH_SIZE, side: int = 40, num_classes: int = 10
) -> ArrayImages:
    """Creates random images of classes of which 6 occur; the top-5 accuracy needs 5 classes.

    Args:
        config: the recipe, whose encoder determines the number of channels.
        number: number of images.
        side: side of an image in pixels.
        num_classes: number of classes.
    """
    channels = len(config.encoder.mean)
    pixels = np.random.default_rng(0).integers(0, 256, [number, side, side, channels], np.uint8)
    return ArrayImages(pixels, np.arange(number) % 6, [str(k) for k in range(num_classes)])


def write_teacher(directory: pathlib.Path, channels: int) -> str:
    """Writes a classifier of these images, unless it exists, and returns its path."""
    path = directory / f"{channels}.keras"
    if not path.exists():
        inputs = keras.Input([32, 32, channels])
        outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(inputs))
        keras.Model(inputs, outputs).save(path)
    return str(path)
