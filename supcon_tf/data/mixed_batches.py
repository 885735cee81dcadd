"""Mixing in the input pipeline, where it does not depend on how batches are split over replicas."""

from typing import Any

import tensorflow as tf

from supcon_tf.augmentation import Mixing
from supcon_tf.labels import to_soft_labels

# Sets the seeds of mixing apart from those of the views, which take epochs in this place.
_MIXING = -1


def mix_batches(
    dataset: tf.data.Dataset,
    mixing: Mixing,
    *,
    num_classes: int,
    label_smoothing: float = 0.0,
    seed: int = 0,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Mixes the views of every batch of a dataset, and their labels.

    How a batch is mixed depends on the seed and on its step alone. Mixed here, before a strategy
    splits the batch, images have partners in the whole of it, and training is the same on any
    number of replicas.

    Args:
        dataset: batches `(views, labels, ...)`, as from `multi_view_batches`: floating point views
            `[batch, views, height, width, channels]`, and class ids `[batch]` (-1 marks a sample
            without a label, whose row is zero) or label distributions `[batch, num_classes]`. What
            follows, as a sample weight, stays as it is.
        mixing: how to mix.
        num_classes: how many classes labels have.
        label_smoothing: how much of each label, from 0 and below 1, to spread evenly over all
            classes, before they are mixed.
        seed: decides how batches are mixed.
        start_step: the step of the first batch in `dataset`: what `multi_view_batches` got.

    Returns:
        A dataset of as many batches, whose labels are `[batch, views, num_classes]` float32, for
        `GeneralizedSupConLoss`.

    Raises:
        ValueError: if an argument, the shape of the views or the shape or dtype of the labels is
            not as described. Values of labels are looked at when the dataset is read, and are a
            `tf.errors.InvalidArgumentError`.

    >>> views, ids = tf.random.normal([6, 2, 4, 4, 3]), tf.constant([0, 1, 2, 2, 1, -1])
    >>> batches = tf.data.Dataset.from_tensor_slices((views, ids)).batch(3, drop_remainder=True)
    >>> mixed = mix_batches(batches, Mixing("mixup"), num_classes=3)
    >>> len(mixed), mixed.element_spec[1].shape
    (2, TensorShape([3, 2, 3]))
    """
    if start_step < 0:
        raise ValueError(f"`start_step` must be at least 0. Received: {start_step}")

    def mix(step: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        views, labels, *rest = batch
        rows = to_soft_labels(labels, num_classes, label_smoothing)
        step_seed = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, _MIXING], tf.int64), step
        )
        return (*mixing(views, rows, step_seed), *rest)

    steps = dataset.enumerate(start=start_step)
    return steps.map(mix, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
