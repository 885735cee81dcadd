r"""The similarities that an anchor should have, weighed by label similarity, in O(N K d).

The losses with the sum over positives outside the logarithm need $\sum_{j \ne i} w_{ij} s_{ij}$ and
$W_i = \sum_{j \ne i} w_{ij}$, where $w_{ij} = y_i \cdot y_j$ for label rows $y$ of unit length (the
cosine of label distributions; 1 or 0 for classes). Both are linear in the columns, so that they
come from sums over labels and not over pairs:

$$\sum_{j \ne i} w_{ij} s_{ij} = \frac{z_i \cdot M y_i - |y_i|^2 |z_i|^2}{\tau},
    \qquad M = \sum_j c_j y_j^T,$$

and with upstream gradients $q$, where $M_q = \sum_j q_j z_j y_j^T$,

$$\frac{\partial}{\partial z_i} \sum_k q_k \sum_{j \ne k} w_{kj} s_{kj}
    = \frac{q_i M y_i + M_q y_i - 2 q_i |y_i|^2 z_i}{\tau}.$$

The row's own part is subtracted from sums in which it may be nearly everything (an anchor whose
label hardly resembles another's), hence float64: in float32 the weights of 1000 mixed classes are
off by 1e-8, and logits by 10 once divided by them.
"""

from typing import NamedTuple

import tensorflow as tf

from supcon_tf.similarity.gradients import differentiable_once
from supcon_tf.similarity.normalization import l2_normalize

# Rows of labels that are float64 at the same time.
_BLOCK_SIZE = 1024


class Classes(NamedTuple):
    """Labels that are alike (w = 1) or not (w = 0).

    Attributes:
        group: `[rows]` int32, equal for rows that are alike; at least 0 and below the number of
            rows, anchors and contrasts together.
    """

    group: tf.Tensor


class Distributions(NamedTuple):
    """Labels whose likeness is the cosine of two rows.

    Attributes:
        y: `[rows, classes]` non-negative numbers of any scale; a zero row resembles nothing.
    """

    y: tf.Tensor


Labels = Classes | Distributions


def weighted_similarities(
    z: tf.Tensor,
    labels: Labels,
    contrasts: tf.Tensor | None,
    contrast_labels: Labels | None,
    temperature: tf.Tensor,
    replica: tf.distribute.ReplicaContext | None = None,
) -> tf.Tensor:
    r"""Computes $\sum_{j \ne i} w_{ij} s_{ij}$ for every anchor.

    Args:
        z: `[anchors, dim]` floating point embeddings.
        labels: of the anchors.
        contrasts: `[contrasts, dim]` embeddings; `None` if they are the anchors.
        contrast_labels: of the contrasts; `None` if they are the anchors, or if those of other
            replicas are not here: then the replicas add up their parts of M and M_q.
        temperature: tau, above 0, a float64 scalar.
        replica: `None`, or the replica whose rows the anchors are. The contrasts are then
            everyone's rows, and the gradient is that of everyone's sums.

    Returns:
        `[anchors]` in the dtype of `z`, differentiable once with respect to both sides' embeddings;
        contrasts of all replicas are constants.
    """
    if contrasts is not None and replica is None:
        return _between_two_sides(z, labels, contrasts, contrast_labels, temperature)

    def moments(z: tf.Tensor, q: tf.Tensor | None = None) -> tf.Tensor:
        if replica is None:
            return _moments(z, labels, q)
        if contrast_labels is None:
            return _add_up(_moments(z, labels, q), replica)
        everyones_q = None if q is None else replica.all_gather(q, axis=0)
        return _moments(contrasts, contrast_labels, everyones_q)

    def forward(z: tf.Tensor, m: tf.Tensor) -> tf.Tensor:
        return tf.cast(_project(z, labels, m, itself=True) / temperature, z.dtype)

    def backward(_: tf.Tensor, upstream: tf.Tensor, z: tf.Tensor, m: tf.Tensor) -> list[tf.Tensor]:
        q = tf.cast(upstream, tf.float64) / temperature
        return [_gradient(z, labels, q, m, moments(z, q)), tf.zeros_like(m)]

    # M is an argument so that the replicas need not add it up again for the gradient.
    return differentiable_once(forward, backward)(z, moments(tf.stop_gradient(z)))


def global_weight_sums(
    labels: Labels, contrast_labels: Labels | None, replica: tf.distribute.ReplicaContext | None
) -> tf.Tensor:
    r"""Computes $W_i = \sum_{j \ne i} w_{ij}$ of every anchor, on one replica or on many.

    Args:
        labels: of the anchors.
        contrast_labels: of the contrasts, as in `weighted_similarities`.
        replica: `None`, or the replica whose rows the anchors are.

    Returns:
        `[anchors]` float64.
    """
    if replica is None or contrast_labels is not None:
        return weight_sums(labels, contrast_labels, itself=replica is not None)
    ones = tf.ones([tf.shape(labels[0])[0], 1], tf.float64)
    return _project(ones, labels, _add_up(_moments(ones, labels), replica), itself=True)


def _add_up(moments: tf.Tensor, replica: tf.distribute.ReplicaContext) -> tf.Tensor:
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, moments)


def _between_two_sides(
    z: tf.Tensor,
    labels: Labels,
    contrasts: tf.Tensor,
    contrast_labels: Labels | None,
    temperature: tf.Tensor,
) -> tf.Tensor:
    """Computes the weighted similarities of anchors of which none is among the contrasts."""

    def forward(z: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        sums = similarity_sums(z, labels, c, contrast_labels)
        return tf.cast(sums / temperature, z.dtype)

    def backward(_: tf.Tensor, upstream: tf.Tensor, z: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
        q = tf.cast(upstream, tf.float64) / temperature
        return [
            _gradient_of_anchors(z, labels, q, c, contrast_labels),
            _gradient_of_contrasts(c, contrast_labels, q, z, labels),
        ]

    return differentiable_once(forward, backward)(z, contrasts)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def weight_sums(labels: Labels, contrast_labels: Labels | None, itself: bool = False) -> tf.Tensor:
    r"""Computes $W_i = \sum_{j \ne i} w_{ij}$ of every anchor.

    Args:
        labels: of the anchors.
        contrast_labels: of the contrasts; `None` if they are the anchors.
        itself: whether every anchor is also among the contrasts that are given.

    Returns:
        `[anchors]` float64.
    """
    columns = contrast_labels or labels
    ones = tf.ones([tf.shape(columns[0])[0], 1], tf.float64)
    sums = _look_up(_sum_by_label(ones, columns, labels), labels)[:, 0]
    return sums - _squared_lengths(labels) if itself or contrast_labels is None else sums


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def similarity_sums(
    z: tf.Tensor,
    labels: Labels,
    contrasts: tf.Tensor | None,
    contrast_labels: Labels | None,
    itself: bool = False,
) -> tf.Tensor:
    r"""Computes $\sum_{j \ne i} w_{ij} z_i \cdot c_j$ for every anchor.

    Args:
        z: `[anchors, dim]` floating point embeddings.
        labels: of the anchors.
        contrasts: `[contrasts, dim]` embeddings; `None` if they are the anchors.
        contrast_labels: of the contrasts; `None` if they are the anchors.
        itself: whether every anchor is also among the contrasts that are given.

    Returns:
        `[anchors]` float64.
    """
    c = z if contrasts is None else contrasts
    moments = _sum_by_label(tf.cast(c, tf.float64), contrast_labels or labels, labels)
    return _project(z, labels, moments, itself=itself or contrasts is None)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _moments(z: tf.Tensor, labels: Labels, q: tf.Tensor | None = None) -> tf.Tensor:
    """Computes M, or with `q` M_q, of rows: `[labels, dim]` float64."""
    z = tf.cast(z, tf.float64)
    return _sum_by_label(z if q is None else q[:, None] * z, labels, labels)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _project(z: tf.Tensor, labels: Labels, m: tf.Tensor, itself: bool) -> tf.Tensor:
    """Computes z_i . M y_i, less the row's own part if it is in M."""
    z = tf.cast(z, tf.float64)
    similar = _look_up(m, labels)
    if itself:
        similar -= _squared_lengths(labels)[:, None] * z
    return tf.reduce_sum(z * similar, axis=1)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient(
    z: tf.Tensor, labels: Labels, q: tf.Tensor, m: tf.Tensor, m_q: tf.Tensor
) -> tf.Tensor:
    """Computes the gradient of rows as anchors and as contrasts of everyone's anchors."""
    own = 2 * _squared_lengths(labels)[:, None] * tf.cast(z, tf.float64)
    gradient = q[:, None] * (_look_up(m, labels) - own) + _look_up(m_q, labels)
    return tf.cast(gradient, z.dtype)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient_of_anchors(
    z: tf.Tensor, labels: Labels, q: tf.Tensor, contrasts: tf.Tensor, contrast_labels: Labels
) -> tf.Tensor:
    moments = _sum_by_label(tf.cast(contrasts, tf.float64), contrast_labels, labels)
    return tf.cast(q[:, None] * _look_up(moments, labels), z.dtype)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient_of_contrasts(
    contrasts: tf.Tensor, contrast_labels: Labels, q: tf.Tensor, z: tf.Tensor, labels: Labels
) -> tf.Tensor:
    moments = _sum_by_label(q[:, None] * tf.cast(z, tf.float64), labels, contrast_labels)
    return tf.cast(_look_up(moments, contrast_labels), contrasts.dtype)


def _sum_by_label(values: tf.Tensor, labels: Labels, other_labels: Labels) -> tf.Tensor:
    """Computes the sum of values_j y_j^T, transposed: `[labels, columns]`, all float64."""
    if isinstance(labels, Classes):
        size = tf.shape(labels.group)[0]
        if other_labels is not labels:
            size += tf.shape(other_labels[0])[0]
        return tf.math.unsorted_segment_sum(values, labels.group, size)
    total = tf.zeros([tf.shape(labels.y)[1], tf.shape(values)[1]], tf.float64)
    return tf.foldl(
        lambda total, block: total + tf.matmul(_unit(block[0]), block[1], transpose_a=True),
        (_cut(labels.y), _cut(values)),
        total,
    )


def _look_up(sums: tf.Tensor, labels: Labels) -> tf.Tensor:
    """Computes y_i . sums for every row: `[rows, columns]` float64."""
    if isinstance(labels, Classes):
        return tf.gather(sums, labels.group)
    blocks = tf.map_fn(
        lambda y: tf.matmul(_unit(y), sums), _cut(labels.y), fn_output_signature=tf.float64
    )
    return tf.reshape(blocks, [-1, tf.shape(sums)[1]])[: tf.shape(labels.y)[0]]


def _squared_lengths(labels: Labels) -> tf.Tensor:
    if isinstance(labels, Classes):
        return tf.ones(tf.shape(labels.group), tf.float64)
    return tf.cast(tf.reduce_any(labels.y != 0, axis=1), tf.float64)


def _unit(y: tf.Tensor) -> tf.Tensor:
    """Scales rows to unit length in float64; zero rows stay zero."""
    return l2_normalize(tf.cast(y, tf.float64))


def _cut(x: tf.Tensor) -> tf.Tensor:
    """Cuts `[rows, columns]` into `[blocks, rows of a block, columns]`, padded with zeros."""
    rows = tf.shape(x)[0]
    size = tf.maximum(1, tf.minimum(rows, _BLOCK_SIZE))
    blocks = tf.maximum(1, -(-rows // size))
    x = tf.pad(x, [[0, blocks * size - rows], [0, 0]])
    return tf.reshape(x, [blocks, size, tf.shape(x)[1]])
