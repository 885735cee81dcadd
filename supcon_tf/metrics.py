"""Health of a contrastive training: metrics that `compile(metrics=[...])` takes.

Each takes labels and projections of unit length, as `SupConModel` makes them, and compares at most
the first 512 samples of a batch (of a replica's part of it): enough to see a collapse coming, at a
small part of a step's cost.

Examples:
    >>> import supcon_tf
    >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
    >>> model = supcon_tf.SupConModel(encoder)
    >>> model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=supcon_tf.metrics.HEALTH)
"""

import tensorflow as tf

from supcon_tf.similarity.replicas import is_dry_run, replica_context
from supcon_tf.similarity.rows import UNLABELLED

_MOST_SAMPLES = 512


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


def uniformity(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    r"""Logarithm of the mean potential between the first views of different samples.

    $$\log \frac{1}{n (n - 1)} \sum_{i \ne j} \exp(-2 |z_i - z_j|^2)$$

    0 if all samples are mapped to one point, about -4 if they are spread over the sphere.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> float(supcon_tf.metrics.uniformity(np.array([3, 3]), views))
        0.0

    Reference: Wang and Isola, 2020, section 4.1, with t = 2 (https://arxiv.org/abs/2005.10242).

    Args:
        y_true: labels; not looked at.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        A scalar; 0 for a batch of one.
    """
    similarities = _similarities(y_pred)
    count = tf.cast(tf.shape(similarities)[0], similarities.dtype)
    potential = tf.exp(4 * (similarities - 1))  # |a - b|^2 = 2 - 2 a.b
    total = tf.reduce_sum(potential) - tf.reduce_sum(tf.linalg.diag_part(potential))
    mean = total / (count * tf.maximum(count - 1, 1))
    return tf.where(count > 1, tf.math.log(tf.maximum(mean, 1e-30)), 0.0)


def nearest_neighbour_accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Whether the sample whose first view is the most similar has the same class.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.nearest_neighbour_accuracy(np.array([3, 3]), views).numpy().tolist()
        [1.0, 1.0]

    Args:
        y_true: class ids `[batch]` or `[batch, 1]`, or label rows `[batch, classes]` or
            `[batch, views, classes]`, of which the largest entry counts.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`, 1 or 0; 0 for a sample without a label.
    """
    ids = _ids(y_true)[:_MOST_SAMPLES]
    similarities = _similarities(y_pred)
    others = tf.linalg.set_diag(similarities, tf.fill(tf.shape(similarities)[:1], -2.0))
    neighbours = tf.gather(ids, tf.argmax(others, axis=1))
    return tf.cast((neighbours == ids) & (ids != UNLABELLED), tf.float32)


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
        y_true: labels, as in `nearest_neighbour_accuracy`.
        y_pred: not looked at.

    Returns:
        `[batch]`, 1 or 0.
    """
    ids = everyones = _ids(y_true)
    replica = replica_context()
    if replica is not None and not is_dry_run():
        everyones = replica.all_gather(ids, axis=0)
    classes, place, counts = tf.unique_with_counts(tf.concat([ids, everyones], axis=0))
    # Each of the batch is counted here and among everyone.
    own = tf.math.unsorted_segment_sum(tf.ones_like(ids), place[: tf.size(ids)], tf.size(classes))
    several = tf.cast(counts, ids.dtype) - own > 1
    return tf.cast(tf.gather(several, place[: tf.size(ids)]) & (ids != UNLABELLED), tf.float32)


# What is worth logging in every pretraining.
HEALTH = [alignment, uniformity, nearest_neighbour_accuracy, positive_fraction]


def _views(y_pred: tf.Tensor) -> tf.Tensor:
    views = y_pred if len(y_pred.shape) == 3 else y_pred[:, None]
    return tf.cast(views[:_MOST_SAMPLES], tf.float32)


def _similarities(y_pred: tf.Tensor) -> tf.Tensor:
    first = _views(y_pred)[:, 0]
    return tf.matmul(first, first, transpose_b=True)


def _ids(y_true: tf.Tensor) -> tf.Tensor:
    """Class ids `[batch]` of labels of any kind."""
    if len(y_true.shape) == 3:
        y_true = tf.reduce_sum(y_true, axis=1)
    if len(y_true.shape) == 2 and y_true.shape[1] != 1:
        labelled = tf.reduce_max(y_true, axis=1) > 0
        return tf.where(labelled, tf.argmax(y_true, axis=1), UNLABELLED)
    return tf.cast(tf.reshape(y_true, [-1]), tf.int64)
