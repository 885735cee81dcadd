r"""Sums of similarities weighted by the similarity of labels, in O(N K d) instead of O(N^2 d).

The losses with the sum over positives outside the logarithm need $\sum_{j \ne i} w_{ij} s_{ij}$ and
$W_i = \sum_{j \ne i} w_{ij}$, where $w_{ij} = y_i \cdot y_j$ for label rows $y$ of unit length (the
cosine of label distributions; 1 or 0 for classes). Both are linear in the columns and can be
computed from one sum per label instead of one term per pair:

$$\sum_{j \ne i} w_{ij} s_{ij} = \frac{z_i \cdot M y_i - |y_i|^2 |z_i|^2}{\tau},
    \qquad M = \sum_j c_j y_j^T,$$

and with upstream gradients $q$, where $M_q = \sum_j q_j z_j y_j^T$,

$$\frac{\partial}{\partial z_i} \sum_k q_k \sum_{j \ne k} w_{kj} s_{kj}
    = \frac{q_i M y_i + M_q y_i - 2 q_i |y_i|^2 z_i}{\tau}.$$

All sums are float64. The row's own term is subtracted from a sum in which it can be by far the
largest term, if the label of an anchor is hardly similar to any other. In float32, the weights of
1000 mixed classes would have errors of 1e-8, and logits divided by these weights errors of 10.
"""

from typing import NamedTuple

import tensorflow as tf

from supcon_tf.similarity.gradients import differentiable_once
from supcon_tf.similarity.normalization import l2_normalize
from supcon_tf.similarity.shapes import block_shape, known_shape

# The largest number of label rows that are converted to float64 at a time.
_BLOCK_SIZE = 1024


class Classes(NamedTuple):
    """Labels that are equal (w = 1) or different (w = 0).

    Attributes:
        group: `[rows]` int32, equal for rows of one class; at least 0 and below the number of rows,
            anchors and contrasts together.
    """

    group: tf.Tensor

    @property
    def num_rows(self) -> tf.Tensor:
        """The number of rows."""
        return tf.shape(self.group)[0]

    def sum_by_label(self, values: tf.Tensor, other: "Labels | None") -> tf.Tensor:
        """Sums the rows of each class.

        Args:
            values: `[rows, columns]` float64.
            other: the labels on which `look_up` is called with the result; `None` if they are
                `self`.

        Returns:
            `[classes, columns]` float64.
        """
        num_classes = self.num_rows
        if other is not None:
            num_classes += other.num_rows
        return tf.math.unsorted_segment_sum(values, self.group, num_classes)

    def look_up(self, sums: tf.Tensor) -> tf.Tensor:
        """Returns the sum of every row's class: `[rows, columns]`."""
        return tf.gather(sums, self.group)

    def squared_lengths(self) -> tf.Tensor:
        """Returns the weight of every row with itself, `[rows]` float64."""
        return tf.ones(tf.shape(self.group), tf.float64)


class Distributions(NamedTuple):
    """Labels whose similarity w is the cosine of two label rows.

    Attributes:
        y: `[rows, classes]` non-negative numbers of any scale; a zero row has similarity 0 with all
            rows.
    """

    y: tf.Tensor

    @property
    def num_rows(self) -> tf.Tensor:
        """The number of rows."""
        return tf.shape(self.y)[0]

    def sum_by_label(self, values: tf.Tensor, other: "Labels | None") -> tf.Tensor:
        """Sums the rows, weighted by their labels of unit length.

        Args:
            values: `[rows, columns]` float64.
            other: not used; the number of classes is known.

        Returns:
            `[classes, columns]` float64, the sum of y_j values_j^T.
        """

        def sum_of(block: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            return tf.matmul(_unit(block[0]), block[1], transpose_a=True)

        y, values = _split(self.y), _split(values)
        if y.shape[0] == 1:
            return sum_of((y[0], values[0]))
        zeros = tf.zeros([tf.shape(y)[2], tf.shape(values)[2]], tf.float64)
        return tf.foldl(lambda total, block: total + sum_of(block), (y, values), zeros)

    def look_up(self, sums: tf.Tensor) -> tf.Tensor:
        """Returns y_i . sums of every row: `[rows, columns]` float64."""

        def look_up_block(y: tf.Tensor) -> tf.Tensor:
            return tf.matmul(_unit(y), sums)

        y = _split(self.y)
        if y.shape[0] == 1:
            return look_up_block(y[0])[: self.num_rows]
        blocks = tf.map_fn(look_up_block, y, fn_output_signature=tf.float64)
        return tf.reshape(blocks, [-1, tf.shape(sums)[1]])[: self.num_rows]

    def squared_lengths(self) -> tf.Tensor:
        """Returns the weight of every row with itself, `[rows]` float64: 0 for a zero row."""
        return tf.cast(tf.reduce_any(self.y != 0, axis=1), tf.float64)


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
        labels: the labels of the anchors.
        contrasts: `[contrasts, dim]` embeddings; `None` if they are the anchors.
        contrast_labels: the labels of the contrasts, of the kind of `labels`. `None` if they are
            the anchors, or if the labels of the other replicas were not gathered: the replicas then
            all-reduce M and M_q.
        temperature: tau, above 0, a float64 scalar.
        replica: `None`, or the replica that the anchors belong to. The contrasts are then the
            global rows, and the gradient is that of the sum of all replicas' values.

    Returns:
        `[anchors]` in the dtype of `z`, differentiable once with respect to the embeddings of both
        sides. Global contrasts are constants.
    """
    if contrasts is not None and replica is None:
        return _between_disjoint_rows(z, labels, contrasts, contrast_labels, temperature)  # type: ignore[arg-type]  # given

    def global_moments(z: tf.Tensor, q: tf.Tensor | None = None) -> tf.Tensor:
        if replica is None:
            return _moments(z, labels, q)
        if contrast_labels is None:
            return _all_reduce(_moments(z, labels, q), replica)
        global_q = None if q is None else replica.all_gather(q, axis=0)
        return _moments(contrasts, contrast_labels, global_q)

    def forward(z: tf.Tensor, m: tf.Tensor) -> tf.Tensor:
        return tf.cast(_project(z, labels, m, exclude_self=True) / temperature, z.dtype)

    def backward(_: tf.Tensor, upstream: tf.Tensor, z: tf.Tensor, m: tf.Tensor) -> list[tf.Tensor]:
        q = tf.cast(upstream, tf.float64) / temperature
        return [_gradient(z, labels, q, m, global_moments(z, q)), tf.zeros_like(m)]

    # M is an input, so that the replicas do not reduce it again in the backward pass.
    # Constants as inputs and as outputs: neither a tape nor a traced gradient reaches the sums.
    moments = tf.stop_gradient(global_moments(tf.stop_gradient(z)))
    return differentiable_once(forward, backward)(z, moments)


def global_weight_sums(
    labels: Labels, contrast_labels: Labels | None, replica: tf.distribute.ReplicaContext | None
) -> tf.Tensor:
    r"""Computes $W_i = \sum_{j \ne i} w_{ij}$ of every anchor, on one replica or on several.

    Args:
        labels: the labels of the anchors.
        contrast_labels: the labels of the contrasts, as in `weighted_similarities`.
        replica: `None`, or the replica that the anchors belong to.

    Returns:
        `[anchors]` float64.
    """
    if replica is not None and contrast_labels is None:
        ones = tf.ones([labels.num_rows, 1], tf.float64)
        m = _all_reduce(_moments(ones, labels), replica)
        return _project(ones, labels, m, exclude_self=True)
    exclude_self = contrast_labels is None or replica is not None
    return weight_sums(labels, contrast_labels, exclude_self)


def _all_reduce(moments: tf.Tensor, replica: tf.distribute.ReplicaContext) -> tf.Tensor:
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, moments)


def _between_disjoint_rows(
    z: tf.Tensor,
    labels: Labels,
    contrasts: tf.Tensor,
    contrast_labels: Labels,
    temperature: tf.Tensor,
) -> tf.Tensor:
    """Computes `weighted_similarities` of anchors, none of which is one of the contrasts."""

    def forward(z: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
        sums = similarity_sums(z, labels, c, contrast_labels, exclude_self=False)
        return tf.cast(sums / temperature, z.dtype)

    def backward(_: tf.Tensor, upstream: tf.Tensor, z: tf.Tensor, c: tf.Tensor) -> list[tf.Tensor]:
        q = tf.cast(upstream, tf.float64) / temperature
        return [
            _gradient_of_anchors(z, labels, q, c, contrast_labels),
            _gradient_of_contrasts(c, contrast_labels, q, z, labels),
        ]

    return differentiable_once(forward, backward)(z, contrasts)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def weight_sums(labels: Labels, contrast_labels: Labels | None, exclude_self: bool) -> tf.Tensor:
    r"""Computes $\sum_j w_{ij}$ of every anchor.

    Args:
        labels: the labels of the anchors.
        contrast_labels: the labels of the contrasts; `None` if they are the anchors.
        exclude_self: whether to exclude j = i, for anchors that are among the contrasts.

    Returns:
        `[anchors]` float64.
    """
    columns = labels if contrast_labels is None else contrast_labels
    ones = tf.ones([columns.num_rows, 1], tf.float64)
    sums = labels.look_up(_sum_over_contrasts(ones, labels, contrast_labels))[:, 0]
    return sums - labels.squared_lengths() if exclude_self else sums


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def similarity_sums(
    z: tf.Tensor,
    labels: Labels,
    contrasts: tf.Tensor | None,
    contrast_labels: Labels | None,
    exclude_self: bool,
) -> tf.Tensor:
    r"""Computes $\sum_j w_{ij} z_i \cdot c_j$ of every anchor.

    Args:
        z: `[anchors, dim]` floating point embeddings.
        labels: the labels of the anchors.
        contrasts: `[contrasts, dim]` embeddings; `None` if they are the anchors.
        contrast_labels: the labels of the contrasts; `None` if they are the anchors.
        exclude_self: whether to exclude j = i, for anchors that are among the contrasts.

    Returns:
        `[anchors]` float64.
    """
    c = tf.cast(z if contrasts is None else contrasts, tf.float64)
    return _project(z, labels, _sum_over_contrasts(c, labels, contrast_labels), exclude_self)


def _sum_over_contrasts(
    values: tf.Tensor, labels: Labels, contrast_labels: Labels | None
) -> tf.Tensor:
    """Computes the sum of y_j values_j^T over the contrasts, for `labels.look_up`."""
    if contrast_labels is None:
        return labels.sum_by_label(values, None)
    return contrast_labels.sum_by_label(values, labels)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _moments(z: tf.Tensor, labels: Labels, q: tf.Tensor | None = None) -> tf.Tensor:
    """Computes M of rows, or M_q with `q`, transposed: `[classes, dim]` float64."""
    z = tf.cast(z, tf.float64)
    return labels.sum_by_label(z if q is None else q[:, None] * z, None)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _project(z: tf.Tensor, labels: Labels, m: tf.Tensor, exclude_self: bool) -> tf.Tensor:
    """Computes z_i . M y_i, without the row's own term if `exclude_self`."""
    z = tf.cast(z, tf.float64)
    similar = labels.look_up(m)
    if exclude_self:
        similar -= labels.squared_lengths()[:, None] * z
    return tf.reduce_sum(z * similar, axis=1)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient(
    z: tf.Tensor, labels: Labels, q: tf.Tensor, m: tf.Tensor, m_q: tf.Tensor
) -> tf.Tensor:
    """Computes the gradient of rows that are anchors, and contrasts of the global anchors."""
    own = 2 * labels.squared_lengths()[:, None] * tf.cast(z, tf.float64)
    gradient = q[:, None] * (labels.look_up(m) - own) + labels.look_up(m_q)
    return tf.cast(gradient, z.dtype)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient_of_anchors(
    z: tf.Tensor, labels: Labels, q: tf.Tensor, contrasts: tf.Tensor, contrast_labels: Labels
) -> tf.Tensor:
    m = contrast_labels.sum_by_label(tf.cast(contrasts, tf.float64), labels)
    return tf.cast(q[:, None] * labels.look_up(m), z.dtype)


@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _gradient_of_contrasts(
    contrasts: tf.Tensor, contrast_labels: Labels, q: tf.Tensor, z: tf.Tensor, labels: Labels
) -> tf.Tensor:
    m_q = labels.sum_by_label(q[:, None] * tf.cast(z, tf.float64), contrast_labels)
    return tf.cast(contrast_labels.look_up(m_q), contrasts.dtype)


def _unit(y: tf.Tensor) -> tf.Tensor:
    """Scales rows to unit length in float64; zero rows stay zero."""
    return l2_normalize(tf.cast(y, tf.float64))


def _split(x: tf.Tensor) -> tf.Tensor:
    """Splits `[rows, columns]` into `[blocks, rows of a block, columns]`, padded with zeros."""
    rows, columns = known_shape(x)
    count, length = block_shape(rows, _BLOCK_SIZE)
    return tf.reshape(tf.pad(x, [[0, count * length - rows], [0, 0]]), [count, length, columns])
