"""Creates the models that the scripts train from a recipe, and their batches."""

import functools

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from experiments.configs import CLASSIFIER_SUFFIXES
from experiments.lib import builders, classifiers, pretraining
from experiments.lib.recipe_batches import Batches
from supcon_tf.data import ImageSource


def prepare_first_stage(
    name: str, config: ConfigDict, images: ImageSource
) -> tuple[keras.Model, Batches, int]:
    """Creates the model of the first stage of a recipe, on one device.

    Args:
        name: the name of the recipe, without `.py`.
        config: the recipe.
        images: the training images.

    Returns:
        The compiled model, the batches, and the number of steps of an epoch.
    """
    strategy = tf.distribute.get_strategy()
    if not name.endswith(CLASSIFIER_SUFFIXES):
        return pretraining.prepare(config, images, strategy)
    build = functools.partial(_classifier_builder(name), config)
    return classifiers.prepare(build, config, config, images, strategy)


def prepare_linear_stage(
    config: ConfigDict, images: ImageSource
) -> tuple[keras.Model, Batches, int]:
    """Creates the model of the second stage of a recipe, on one device and a new encoder.

    Args:
        config: the recipe.
        images: the training images.

    Returns:
        As in `prepare_first_stage`.
    """

    def build(images: ImageSource) -> keras.Model:
        encoder = builders.build_encoder(config.encoder, config.image_size, images.channels)
        return classifiers.build_second_stage(config, encoder, images)

    strategy = tf.distribute.get_strategy()
    return classifiers.prepare(build, config, config.linear, images, strategy)


def build_classifier(name: str, config: ConfigDict, images: ImageSource) -> keras.Model:
    """Builds the classifier that a recipe of one stage writes, with untrained weights.

    Args:
        name: the name of the recipe, without `.py`.
        config: the recipe.
        images: the training images.
    """
    keras.config.set_dtype_policy(config.dtype_policy)
    model = _classifier_builder(name)(config, images)
    return model.average if name.endswith("teacher") else model


def _classifier_builder(name: str) -> classifiers.BuildModel:
    if name.endswith("teacher"):
        return classifiers.build_teacher
    return classifiers.build_cross_entropy_model
