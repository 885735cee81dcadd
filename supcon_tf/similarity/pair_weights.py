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

from collections.abc import Callable

import tensorflow as tf

from supcon_tf.labels import are_distributions
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
    # The backward pass below is the gradient of the sums too.
    others = tf.stop_gradient(_weighted_sums(weights, first, sums, transpose=False))

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
    sums = _row_sums(weights, first)
    views = tf.cast(views, tf.float64)
    own = tf.cast(_diagonal(weights, first), tf.float64)
    return tf.repeat(views * sums + (views - 1) * own, tf.cast(views, tf.int32))


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def are_pair_weights(weights: tf.Tensor) -> tf.Tensor:
    """Returns whether all weights are finite and not negative."""
    are_valid = tf.map_fn(
        lambda start: are_distributions(_block(weights, start)),
        _block_starts(weights),
        fn_output_signature=tf.bool,
    )
    return tf.reduce_all(are_valid)


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
def _row_sums(weights: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Sums the rows of the weights without their diagonal: `[batch]` float64."""

    def row_sums(start: tf.Tensor) -> tf.Tensor:
        block = _block_without_diagonal(weights, first, start)
        return tf.reduce_sum(tf.cast(block, tf.float64), axis=1)

    return _map_blocks(row_sums, weights, tf.float64)


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

    def block_at(start: tf.Tensor) -> tf.Tensor:
        return tf.cast(_block_without_diagonal(weights, first, start), values.dtype)

    if not transpose:
        return _map_blocks(
            lambda start: dot(block_at(start), values, (1, 0), None), weights, values.dtype
        )

    def add_block(total: tf.Tensor, block: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        number, start = block
        # Rows that the previous block contains too have been added.
        is_new = start + tf.range(_block_size(weights)) >= number * _block_size(weights)
        new_values = tf.where(is_new[:, None], _block(values, start), 0)
        return total + dot(block_at(start), new_values, (0, 0), None)

    starts = _block_starts(weights)
    zeros = tf.zeros([tf.shape(weights)[1], tf.shape(values)[1]], values.dtype)
    return tf.foldl(add_block, (tf.range(tf.size(starts)), starts), zeros)


# Loops over blocks of rows: XLA would hold all blocks of an unrolled sum at the same time.


def _map_blocks(
    function: Callable[[tf.Tensor], tf.Tensor], weights: tf.Tensor, dtype: tf.DType
) -> tf.Tensor:
    """Applies a function of the first row of a block to all blocks, and joins the results.

    Args:
        function: returns a result for each row of the block.
        weights: `[batch, samples]`.
        dtype: dtype of the results.

    Returns:
        `[batch, ...]` results.
    """
    blocks = tf.map_fn(function, _block_starts(weights), fn_output_signature=dtype)
    whole = tf.reshape(blocks[:-1], tf.concat([[-1], tf.shape(blocks)[2:]], axis=0))
    rest = tf.shape(weights)[0] - tf.shape(whole)[0]
    return tf.concat([whole, blocks[-1][tf.shape(blocks)[1] - rest :]], axis=0)


def _block_size(weights: tf.Tensor) -> tf.Tensor:
    return tf.minimum(_BLOCK_SIZE, tf.shape(weights)[0])


def _block_starts(weights: tf.Tensor) -> tf.Tensor:
    """Returns the first row of every block. The last block can overlap with the one before."""
    rows, size = tf.shape(weights)[0], _block_size(weights)
    return tf.minimum(tf.range(0, rows, tf.maximum(size, 1)), rows - size)


def _block(matrix: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Returns a block of rows of the weights, or of values with as many rows."""
    return tf.slice(matrix, [start, 0], [_block_size(matrix), tf.shape(matrix)[1]])


def _block_without_diagonal(weights: tf.Tensor, first: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    block = _block(weights, start)
    rows = first + start + tf.range(tf.shape(block)[0])
    is_diagonal = rows[:, None] == tf.range(tf.shape(block)[1])
    return tf.where(is_diagonal, tf.zeros([], block.dtype), block)
