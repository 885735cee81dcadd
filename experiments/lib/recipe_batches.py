"""The input pipelines of the recipes."""

from collections.abc import Callable

import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from supcon_tf.data import ImageSource, evaluation_batches, map_batches

Batches = tf.data.Dataset | tf.distribute.DistributedDataset


def distribute_batches(
    own_batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
    strategy: tf.distribute.Strategy,
    *,
    whole: bool,
) -> Batches:
    """Creates the batches that `fit` receives on every worker.

    Args:
        own_batches: creates the batches, and with an input context only the rows of that worker.
        strategy: a strategy of tf.distribute.
        whole: whether every worker creates whole batches. Mixing requires them, because it mixes
            images of the whole batch.
    """
    if whole:
        return own_batches(None)
    return supcon_tf.distribution.distribute_batches(strategy, own_batches)


def test_batches(config: ConfigDict, images: ImageSource) -> tf.data.Dataset:
    """Creates batches of the central squares of images, as a recipe tests them."""
    return evaluation_batches(
        images, size=config.image_size, short_side=config.test_short_side, batch_size=250
    )


def one_hot_labels(dataset: tf.data.Dataset, num_classes: int) -> tf.data.Dataset:
    """Converts class ids to one-hot labels; an unlabeled image (-1) has zeros."""
    return map_batches(dataset, lambda images, labels: (images, tf.one_hot(labels, num_classes)))
