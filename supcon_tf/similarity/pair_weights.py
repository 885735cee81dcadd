r"""Sums of similarities with a given weight for each pair of samples.

For the weights $w_{ij}$ of samples and their views $z_{ia}$, the losses need

$$\sum_{(j, b) \ne (i, a)} w_{ij} s_{ia,jb}
    = \frac{z_{ia} \cdot (A_i + w_{ii} (S_i - z_{ia}))}{\tau},
    \qquad A_i = \sum_{j \ne i} w_{ij} S_j, \qquad S_j = \sum_b z_{jb}.$$

With upstream gradients $q$ and $Q_i = \sum_a q_{ia} z_{ia}$, the gradient with respect to
$z_{ia}$ is

$$\frac{q_{ia} (A_i + w_{ii} (S_i - z_{ia})) + T_i + w_{ii} (Q_i - q_{ia} z_{ia})}{\tau},
    \qquad T_i = \sum_{j \ne i} w_{ji} Q_j.$$

Only blocks of rows of the weights are copied.
"""

from collections.abc import Iterator

import tensorflow as tf

from supcon_tf.similarity.dot import dot
from supcon_tf.similarity.gradients import differentiable_once

# The largest number of rows of the weights that are copied at a time.
_BLOCK_SIZE = 1024


def pair_weighted_similarities(
    z: tf.Tensor,
    weights: tf.Tensor,
    all_z: tf.Tensor | None,
    views: int | tf.Tensor,
    temperature: tf.Tensor,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes $\sum_{(j, b) \ne (i, a)} w_{ij} s_{ia,jb}$ for every anchor.

    Args:
        z: `[batch * views, dim]` embeddings of the anchors, sample by sample.
        weights: `[batch, samples]` numbers or booleans: the weights of all samples for the samples
            of the batch. They receive no gradient.
        all_z: `[samples * views, dim]` embeddings of all samples, constants; `None` if they are the
            anchors.
        views: number of views of each sample.
        temperature: tau, above 0, a scalar of the dtype of `z`.
        replica: `None`, or the replica that the anchors belong to. The gradient is then that of the
            sum of all replicas' values.

    Returns:
        `[batch * views]` in the dtype of `z`, differentiable once with respect to `z`.
    """
    first = _first_sample(weights, replica)
    sums = _sum_views(tf.stop_gradient(z) if all_z is None else all_z, views)
    others = _weighted_sums(weights, first, sums, transpose=False)

    def forward(z: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        return (
            tf.reduce_sum(z * _weighted_others(z, weights, first, others, views), 1) / temperature
        )

    def backward(
        _: tf.Tensor, upstream: tf.Tensor, z: tf.Tensor, others: tf.Tensor
    ) -> list[tf.Tensor]:
        qz = (upstream / temperature)[:, None] * z
        as_contrasts = _weighted_sums(weights, first, _sum_views(qz, views), transpose=True)
        if replica is not None:
            as_contrasts = replica.all_reduce(tf.distribute.ReduceOp.SUM, as_contrasts)
            as_contrasts = as_contrasts[first : first + tf.shape(weights)[0]]
        as_anchors = _weighted_others(z, weights, first, others, views)
        gradient = (upstream / temperature)[:, None] * as_anchors
        gradient += _weighted_others(qz, weights, first, as_contrasts, views)
        return [gradient, tf.zeros_like(others)]

    # The sums are an input, so that the backward pass does not compute them again.
    return differentiable_once(forward, backward)(z, others)


def pair_weight_sums(
    weights: tf.Tensor,
    views: int | tf.Tensor,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes $\sum_{(j, b) \ne (i, a)} w_{ij}$ of every anchor: `[batch * views]` float64."""
    first = _first_sample(weights, replica)
    sums = tf.concat(
        [
            tf.reduce_sum(tf.cast(block, tf.float64), axis=1)
            for _, block in _blocks_without_diagonal(weights, first)
        ],
        axis=0,
    )
    views = tf.cast(views, tf.float64)
    own = tf.cast(_diagonal(weights, first), tf.float64)
    return tf.repeat(views * sums + (views - 1) * own, tf.cast(views, tf.int32))


def _first_sample(weights: tf.Tensor, replica: tf.distribute.ReplicaContext | None) -> tf.Tensor:
    """Returns the index of the first sample of the batch among all samples."""
    first = 0 if replica is None else replica.replica_id_in_sync_group * weights.shape[0]
    return tf.cast(first, tf.int32)


def _sum_views(z: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
    """Sums the views of each sample: `[samples, dim]`."""
    return tf.reduce_sum(tf.reshape(z, [-1, views, tf.shape(z)[1]]), axis=1)


def _weighted_others(
    z: tf.Tensor,
    weights: tf.Tensor,
    first: tf.Tensor,
    others: tf.Tensor,
    views: int | tf.Tensor,
) -> tf.Tensor:
    """Adds the weighted other views of the own sample to a sum over other samples, per row."""
    own = tf.cast(_diagonal(weights, first), z.dtype)[:, None]
    sums = others + own * _sum_views(z, views)
    return tf.repeat(sums, views, axis=0) - tf.repeat(own, views, axis=0) * z


def _diagonal(weights: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Returns the weight of every sample of the batch with itself."""
    rows = tf.range(tf.shape(weights)[0])
    return tf.gather_nd(weights, tf.stack([rows, first + rows], axis=1))


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _weighted_sums(
    weights: tf.Tensor, first: tf.Tensor, values: tf.Tensor, transpose: bool
) -> tf.Tensor:
    """Computes the product of the weights without their diagonal, or of its transpose.

    Args:
        weights: `[batch, samples]`.
        first: the column of the diagonal in the first row.
        values: `[samples, dim]`; with `transpose`, `[batch, dim]`.
        transpose: whether to transpose the weights.

    Returns:
        `[batch, dim]`; with `transpose`, `[samples, dim]`.
    """
    blocks = (
        (start, tf.cast(block, values.dtype))
        for start, block in _blocks_without_diagonal(weights, first)
    )
    if not transpose:
        return tf.concat([dot(block, values, (1, 0), None) for _, block in blocks], axis=0)
    return tf.add_n(
        [
            dot(block, values[start : start + tf.shape(block)[0]], (0, 0), None)
            for start, block in blocks
        ]
    )


def _blocks_without_diagonal(
    weights: tf.Tensor, first: tf.Tensor
) -> Iterator[tuple[int, tf.Tensor]]:
    """Yields blocks of rows, whose diagonal is zero, and the index of their first row."""
    size = weights.shape[0]
    for start in range(0, size or 1, _BLOCK_SIZE):
        block = weights if size is None else weights[start : start + _BLOCK_SIZE]
        rows = first + start + tf.range(tf.shape(block)[0])
        is_diagonal = rows[:, None] == tf.range(tf.shape(block)[1])
        yield start, tf.where(is_diagonal, tf.zeros([], block.dtype), block)
