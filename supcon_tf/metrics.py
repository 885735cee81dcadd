"""Health of a contrastive training: metrics that `compile(metrics=[...])` takes.

Each takes labels and projections of unit length, as `SupConModel` makes them, and returns one value
per sample, so that sample weights apply. Metrics that compare samples compare them with the first
512 of the batch (of a replica's part of it): enough to see a collapse coming, in linear memory and
at a small part of a step's cost. Where projections are not finite, so are the metrics that compare
them.

Examples:
    >>> import supcon_tf
    >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
    >>> model = supcon_tf.SupConModel(encoder)
    >>> model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=supcon_tf.metrics.HEALTH)
"""

import keras
import tensorflow as tf

from supcon_tf.distribution.replicas import is_symbolic_build, replica_context
from supcon_tf.labels import UNLABELED, to_dominant_class_ids
from supcon_tf.similarity.masks import dense_rank

_MOST_SAMPLES = 512


@keras.saving.register_keras_serializable(package="supcon_tf")
def alignment(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    r"""Mean squared distance between the first and the second view of a sample.

    $$|z_{i1} - z_{i2}|^2$$

    0 if views are mapped to the same point, 2 if they have nothing in common.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.alignment(np.array([3, 3]), views).numpy().tolist()
        [2.0, 0.0]

    Reference: Wang and Isola, 2020, section 4.1, with alpha = 2 (https://arxiv.org/abs/2005.10242).

    Args:
        y_true: labels; not looked at.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`; 0 where there is one view only.
    """
    views = _views(y_pred)
    return tf.reduce_sum(tf.square(views[:, 0] - views[:, min(1, views.shape[1] - 1)]), axis=-1)


@keras.saving.register_keras_serializable(package="supcon_tf")
def uniformity(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    r"""Logarithm of the mean potential between the first views of different samples.

    $$\log \frac{1}{n (n - 1)} \sum_{i \ne j} \exp(-2 |z_i - z_j|^2)$$

    over the first n = 512 samples, or all of a smaller batch. 0 if all samples are mapped to
    one point, about -4 if they are spread over the sphere.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.uniformity(np.array([3, 3]), views).numpy().tolist()
        [0.0, 0.0]

    Reference: Wang and Isola, 2020, section 4.1, with t = 2 (https://arxiv.org/abs/2005.10242).

    Args:
        y_true: labels; not looked at.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`, the same for every sample; 0 for a batch of one.
    """
    first = _views(y_pred)[:, 0]
    compared = first[:_MOST_SAMPLES]
    potential = tf.exp(4 * (tf.matmul(compared, compared, transpose_b=True) - 1))
    total = tf.reduce_sum(potential) - tf.reduce_sum(tf.linalg.diag_part(potential))
    count = tf.cast(tf.shape(compared)[0], total.dtype)
    alone = count <= 1
    mean = tf.where(alone, 1.0, total / (count * tf.maximum(count - 1, 1)))
    return tf.fill(tf.shape(first)[:1], tf.math.log(mean))


@keras.saving.register_keras_serializable(package="supcon_tf")
def nearest_neighbor_accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Whether the other sample with the most similar first view has the same class.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.nearest_neighbor_accuracy(np.array([3, 3]), views).numpy().tolist()
        [1.0, 1.0]

    Args:
        y_true: class ids `[batch]` or `[batch, 1]`, or label rows `[batch, classes]` or
            `[batch, views, classes]`, of which the largest entry counts.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`, 1 or 0; 0 for a sample without a label or without others; NaN where a projection
        is not finite.
    """
    ids = to_dominant_class_ids(y_true)
    first = _views(y_pred)[:, 0]
    similarities = tf.matmul(first, first[:_MOST_SAMPLES], transpose_b=True)
    samples, compared = tf.unstack(tf.shape(similarities))
    itself = tf.range(samples)[:, None] == tf.range(compared)[None, :]
    # Cosines are above -2: the last column is chosen only where there is no other sample.
    others = tf.pad(tf.where(itself, -3.0, similarities), [[0, 0], [0, 1]], constant_values=-2.0)
    classes = tf.pad(ids[:_MOST_SAMPLES], [[0, 1]], constant_values=UNLABELED)
    neighbors = tf.gather(classes, tf.argmax(others, axis=1))
    right = tf.cast((neighbors == ids) & (ids != UNLABELED), tf.float32)
    finite = tf.reduce_all(tf.math.is_finite(similarities), axis=1)
    return tf.where(finite, right, float("nan"))


@keras.saving.register_keras_serializable(package="supcon_tf")
def positive_fraction(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Whether another sample of the global batch has the same class.

    Where its mean is small, classes are many or rare: anchors have no positives but their own other
    views, and none at all with one view. Larger batches help, or batches that are drawn by class
    (`images_per_class` of `supcon_tf.data.multi_view_batches`).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> ids = np.array([3, 4, 3, -1])
        >>> supcon_tf.metrics.positive_fraction(ids, np.zeros([4, 2, 8])).numpy().tolist()
        [1.0, 0.0, 1.0, 0.0]

    Args:
        y_true: labels, as in `nearest_neighbor_accuracy`.
        y_pred: not looked at.

    Returns:
        `[batch]`, 1 or 0.
    """
    ids = everyones = to_dominant_class_ids(y_true)
    replica = replica_context()
    if replica is not None and not is_symbolic_build():
        everyones = replica.all_gather(ids, axis=0)
    size = tf.size(ids)
    classes = dense_rank(tf.concat([ids, everyones], axis=0))
    counts = tf.math.unsorted_segment_sum(tf.ones_like(classes), classes, tf.size(classes))
    # Each sample of the batch is counted once here and once in the global batch.
    mine = classes[:size]
    own = tf.math.unsorted_segment_sum(tf.ones_like(mine), mine, tf.size(classes))
    several = tf.gather(counts - own, mine) > 1
    return tf.cast(several & (ids != UNLABELED), tf.float32)


# What is worth logging in every pretraining.
HEALTH = [alignment, uniformity, nearest_neighbor_accuracy, positive_fraction]


def _views(y_pred: tf.Tensor) -> tf.Tensor:
    return tf.cast(y_pred if len(y_pred.shape) == 3 else y_pred[:, None], tf.float32)
