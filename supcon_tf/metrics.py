"""Health metrics of contrastive training, for `compile(metrics=...)`.

Each metric takes labels and projections of unit length, as `SupConModel` returns them, and returns
one value per sample, so that sample weights apply. `uniformity` and `nearest_neighbor_accuracy`
compare samples only with the first 512 samples of the batch on the same replica. This is enough to
detect a collapse, takes linear memory, and costs a small fraction of a training step. The two use
`tf.matmul`, which has less precision than float32 on TPUs and recent GPUs. If projections are not
finite, the metrics that read them are NaN.

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

# The number of samples that all samples of the batch are compared with.
_MAX_COMPARED = 512


@keras.saving.register_keras_serializable(package="supcon_tf")
def alignment(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    r"""Computes the squared distance between the first and the second view of a sample.

    $$|z_{i1} - z_{i2}|^2$$

    It is 0 if both views are mapped to the same point, and 2 if their projections are orthogonal.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.alignment(np.array([3, 3]), views).numpy().tolist()
        [2.0, 0.0]

    Reference: Wang and Isola, 2020, section 4.1, with alpha = 2 (https://arxiv.org/abs/2005.10242).

    Args:
        y_true: labels, not used.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]` distances, 0 for a single view.
    """
    views = _views(y_pred)
    return tf.reduce_sum(tf.square(views[:, 0] - views[:, min(1, views.shape[1] - 1)]), axis=-1)


@keras.saving.register_keras_serializable(package="supcon_tf")
def uniformity(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    r"""Computes the log of the mean Gaussian potential between the first views of samples.

    $$\log \frac{1}{n (n - 1)} \sum_{i \ne j} \exp(-2 |z_i - z_j|^2)$$

    over the first $n = 512$ samples, or all samples of a smaller batch. It is 0 if all samples are
    mapped to one point, and about -4 if they are spread over the sphere.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.uniformity(np.array([3, 3]), views).numpy().tolist()
        [0.0, 0.0]

    Reference: Wang and Isola, 2020, section 4.1, with t = 2 (https://arxiv.org/abs/2005.10242).

    Args:
        y_true: labels, not used.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`, the same value for every sample; 0 for a batch of one.
    """
    first = _views(y_pred)[:, 0]
    compared = first[:_MAX_COMPARED]
    potential = tf.exp(4 * (tf.matmul(compared, compared, transpose_b=True) - 1))
    total = tf.reduce_sum(potential) - tf.reduce_sum(tf.linalg.diag_part(potential))
    count = tf.cast(tf.shape(compared)[0], total.dtype)
    alone = count <= 1
    mean = tf.where(alone, 1.0, total / (count * tf.maximum(count - 1, 1)))
    return tf.fill(tf.shape(first)[:1], tf.math.log(mean))


@keras.saving.register_keras_serializable(package="supcon_tf")
def nearest_neighbor_accuracy(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Checks whether the nearest other sample, compared by first views, has the same class.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> views = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
        >>> supcon_tf.metrics.nearest_neighbor_accuracy(np.array([3, 3]), views).numpy().tolist()
        [1.0, 1.0]

    Args:
        y_true: class ids `[batch]` or `[batch, 1]`, or label distributions `[batch, classes]` or
            `[batch, views, classes]`, whose largest entry is the class.
        y_pred: `[batch, views, dim]` or `[batch, dim]` projections.

    Returns:
        `[batch]`, 1 if both have the same class and 0 otherwise, also for an unlabeled sample and
        for the only sample of a batch. NaN if a projection is not finite.
    """
    ids = to_dominant_class_ids(y_true)
    first = _views(y_pred)[:, 0]
    similarities = tf.matmul(first, first[:_MAX_COMPARED], transpose_b=True)
    samples, compared = tf.unstack(tf.shape(similarities))
    itself = tf.range(samples)[:, None] == tf.range(compared)[None, :]
    # Cosines are above -2, so the last column is the nearest only if there is no other sample.
    others = tf.pad(tf.where(itself, -3.0, similarities), [[0, 0], [0, 1]], constant_values=-2.0)
    classes = tf.pad(ids[:_MAX_COMPARED], [[0, 1]], constant_values=UNLABELED)
    neighbors = tf.gather(classes, tf.argmax(others, axis=1))
    correct = tf.cast((neighbors == ids) & (ids != UNLABELED), tf.float32)
    finite = tf.reduce_all(tf.math.is_finite(similarities), axis=1)
    return tf.where(finite, correct, float("nan"))


@keras.saving.register_keras_serializable(package="supcon_tf")
def positive_fraction(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Checks whether another sample of the global batch has the same class.

    A small mean indicates many or rare classes. Most anchors then have no positives except their
    own other views, and none at all with a single view. Use larger batches, or sample batches by
    class (`images_per_class` of `supcon_tf.data.multi_view_batches`).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> ids = np.array([3, 4, 3, -1])
        >>> supcon_tf.metrics.positive_fraction(ids, np.zeros([4, 2, 8])).numpy().tolist()
        [1.0, 0.0, 1.0, 0.0]

    Args:
        y_true: labels, as in `nearest_neighbor_accuracy`.
        y_pred: projections, not used.

    Returns:
        `[batch]`, 1 if another sample has the same class and 0 otherwise.
    """
    ids = global_ids = to_dominant_class_ids(y_true)
    replica = replica_context()
    if replica is not None and not is_symbolic_build():
        global_ids = replica.all_gather(ids, axis=0)
    size = tf.size(ids)
    classes = dense_rank(tf.concat([ids, global_ids], axis=0))
    own_classes, global_classes = classes[:size], classes[size:]
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(global_classes), global_classes, tf.size(classes)
    )
    shared = tf.gather(counts, own_classes) > 1
    return tf.cast(shared & (ids != UNLABELED), tf.float32)


# The metrics to log in every pretraining.
HEALTH = [alignment, uniformity, nearest_neighbor_accuracy, positive_fraction]

# These compare the classes of samples.
COMPARE_CLASSES = [nearest_neighbor_accuracy, positive_fraction]


def _views(y_pred: tf.Tensor) -> tf.Tensor:
    """Returns projections as `[batch, views, dim]` float32."""
    return tf.cast(y_pred if len(y_pred.shape) == 3 else y_pred[:, None], tf.float32)
