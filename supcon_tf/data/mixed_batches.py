"""Mixing of the global batch in the input pipeline, before it is split over replicas."""

from typing import Any

import tensorflow as tf

from supcon_tf._epochs import map_epochs, number_passes
from supcon_tf.augmentation import Mixing
from supcon_tf.labels import to_soft_labels

# Second part of the seed of mixing. For views it is the epoch, so that the seeds never coincide.
_SEED_OF_MIXING = -1


def mix_batches(
    dataset: tf.data.Dataset,
    mixing: Mixing,
    *,
    num_classes: int,
    label_smoothing: float = 0.0,
    seed: int = 0,
) -> tf.data.Dataset:
    """Mixes the views and labels of every batch of a dataset.

    The mixing of a batch depends only on the seed and the step. It precedes the split of the batch
    over replicas, so that the partners of a sample come from the whole batch, and training is the
    same on any number of replicas.

    Examples:
        >>> import tensorflow as tf, supcon_tf
        >>> views, ids = tf.random.normal([6, 2, 4, 4, 3]), tf.constant([0, 1, 2, 2, 1, -1])
        >>> batches = tf.data.Dataset.from_tensor_slices((views, ids)).batch(3)
        >>> mixing = supcon_tf.augmentation.Mixing("mixup")
        >>> mixed = supcon_tf.data.mix_batches(batches, mixing, num_classes=3)
        >>> len(mixed), mixed.element_spec[1].shape
        (2, TensorShape([None, 2, 3]))

    Args:
        dataset: batches `(views, labels, ...)`, as from `multi_view_batches`: floating point views
            `[batch, views, height, width, channels]`, and class ids `[batch]` (-1 marks an
            unlabeled sample, whose label row is zero) or label distributions
            `[batch, num_classes]`. Further components, such as a sample weight, do not change.
        mixing: the mixing of one batch.
        num_classes: number of classes.
        label_smoothing: fraction of each label, at least 0 and below 1, that is spread evenly over
            all classes before the labels are mixed.
        seed: seed of the mixing.

    Returns:
        A dataset of the same length. Its labels are `[batch, views, num_classes]` float32, for
        `GeneralizedSupConLoss`.

    Raises:
        ValueError: if an argument, the shape of the views, or the shape or dtype of the labels is
            not as described. Invalid values of labels raise `tf.errors.InvalidArgumentError` when
            the dataset is read.
    """

    @tf.function  # Several datasets contain this function, which is traced once.
    def mix(step: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        views, labels, *rest = batch
        if tf.nest.is_nested(views):
            raise ValueError(
                "`dataset` must hold the views in one array: several sizes or inputs cannot be "
                f"mixed. Received: a {type(views).__name__} of {len(views)} arrays"
            )
        rows = to_soft_labels(labels, num_classes, label_smoothing)
        step_seed = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, _SEED_OF_MIXING], tf.int64), step
        )
        return (*mixing(views, rows, step_seed), *rest)

    def mix_from(batches: tf.data.Dataset, first_step: tf.Tensor) -> tf.data.Dataset:
        steps = batches.enumerate(first_step)
        return steps.map(mix, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    return map_epochs(number_passes(dataset), mix_from)
