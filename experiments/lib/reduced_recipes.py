"""Recipes made small: what a step needs to have the same operations, and little else."""

import importlib
import pathlib

import keras
import numpy as np
from ml_collections import ConfigDict

from supcon_tf.data import ArrayImages

# How the names of recipes for other scripts than pretrain.py end.
OTHERS = ("cross_entropy", "teacher")
BATCH = 8


def recipe(name: str, width: float = 1 / 16) -> ConfigDict:
    """Returns a recipe for small batches of images of 32 pixels, with few channels.

    Args:
        name: its name, without `.py`.
        width: how many channels, as a multiple of those of a ResNet.
    """
    config = importlib.import_module(f"experiments.configs.{name}").get_config()
    config.image_size = config.test_short_side = 32
    if "width" in config.encoder:
        config.encoder.width = width
    else:
        config.encoder.variant = "b0"
    config.epochs = config.linear.epochs = 2
    config.batch_size = config.linear.batch_size = BATCH
    if "momentum_encoder" in config:
        config.momentum_encoder.queue_size = 2 * BATCH
    return config


def images(config: ConfigDict, number: int = BATCH) -> ArrayImages:
    """Makes images with as many classes as the top-5 accuracy needs and more.

    Args:
        config: the recipe they are for, which says how many channels they have.
        number: how many.
    """
    channels = len(config.encoder.mean)
    pixels = np.random.default_rng(0).integers(0, 256, [number, 40, 40, channels], np.uint8)
    return ArrayImages(pixels, np.arange(number) % 6, [str(k) for k in range(10)])


def write_teacher(directory: pathlib.Path, channels: int) -> str:
    """Writes a classifier of those images, once, and returns where it is."""
    path = directory / f"{channels}.keras"
    if not path.exists():
        inputs = keras.Input([32, 32, channels])
        outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(inputs))
        keras.Model(inputs, outputs).save(path)
    return str(path)
