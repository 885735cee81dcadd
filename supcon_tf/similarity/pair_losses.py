r"""The losses of metric learning, which hold the matrix of all pairs of rows in memory.

$d_{ij} = |z_i - z_j|$ are Euclidean distances, $P(i)$ the other rows of the class of i, and $N(i)$
the rows of other classes. The views of a sample without a label are a class of their own.
"""

import tensorflow as tf

from supcon_tf.similarity.dot import inner_products
from supcon_tf.similarity.masks import PairMasks, Rows, pair_masks
from supcon_tf.similarity.tiles import along_columns, along_rows

# A distance beyond every margin.
_FAR = float(tf.float32.max)


def n_pairs(anchors: Rows, contrasts: Rows) -> tf.Tensor:
    r"""Computes the N-pairs loss of every anchor.

    $$\ell_i = -\frac{1}{|P(i)| + 1} \sum_{p \in P(i) \cup \{i\}}
        \log \frac{\exp(z_i \cdot z_p)}{\sum_j \exp(z_i \cdot z_j)}$$

    Args:
        anchors: the rows i.
        contrasts: the rows j, including all anchors.

    Returns:
        `[anchors]` losses.
    """
    similarities = inner_products(anchors.z, contrasts.z)
    same = tf.cast(_masks_of_all_pairs(anchors, contrasts).same, similarities.dtype)
    mean_of_positives = tf.reduce_sum(same * similarities, axis=1) / tf.reduce_sum(same, axis=1)
    return tf.reduce_logsumexp(similarities, axis=1) - mean_of_positives


def semi_hard_triplets(anchors: Rows, contrasts: Rows, margin: float) -> tf.Tensor:
    r"""Computes the triplet loss of every anchor with semi-hard negatives.

    $$\ell_i = \frac{N}{\sum_k |P(k)|} \sum_{p \in P(i)} \max(0, m + d_{ip} - d_{i n(p)})$$

    where $n(p)$ is the nearest negative in $N(i)$ that is farther away than p, or the farthest
    negative if none is. N is the number of contrasts, and k runs over all contrasts.

    Args:
        anchors: the rows i.
        contrasts: the rows j, including all anchors.
        margin: m.

    Returns:
        `[anchors]` losses.
    """
    distances = euclidean_distances(anchors.z, contrasts.z)
    masks = _masks_of_all_pairs(anchors, contrasts)
    columns = _semi_hard_negatives(tf.stop_gradient(distances), masks.same)
    negatives = tf.gather(_negatives_or_far(distances, masks), columns, axis=1, batch_dims=1)
    losses = tf.nn.relu(margin + distances - negatives)
    pairs = _count_positive_pairs(contrasts, distances.dtype)
    scale = tf.math.divide_no_nan(tf.cast(tf.shape(contrasts.z)[0], distances.dtype), pairs)
    return scale * _sum_where(masks.other & masks.same, losses)


def hard_triplets(anchors: Rows, contrasts: Rows, margin: float) -> tf.Tensor:
    r"""Computes the triplet loss of every anchor with its farthest positive and nearest negative.

    $$\ell_i = \max(0, m + \max_{p \in P(i) \cup \{i\}} d_{ip} - \min_{n \in N(i)} d_{in})$$

    An anchor without positives is its own positive, at distance 0.

    Args:
        anchors: the rows i.
        contrasts: the rows j, including all anchors.
        margin: m.

    Returns:
        `[anchors]` losses.
    """
    distances = euclidean_distances(anchors.z, contrasts.z)
    masks = _masks_of_all_pairs(anchors, contrasts)
    positive = tf.reduce_max(tf.where(masks.other & masks.same, distances, 0), axis=1)
    negative = tf.reduce_min(_negatives_or_far(distances, masks), axis=1)
    return tf.nn.relu(margin + positive - negative)


def max_margin_pairs(anchors: Rows, contrasts: Rows, margin: float) -> tf.Tensor:
    r"""Computes the mean of `max_margin` over the pairs of every anchor and the other rows.

    Args:
        anchors: the rows i.
        contrasts: the rows j, including all anchors.
        margin: m.

    Returns:
        `[anchors]` losses.
    """
    distances = euclidean_distances(anchors.z, contrasts.z)
    masks = _masks_of_all_pairs(anchors, contrasts)
    num_others = tf.maximum(tf.shape(contrasts.z)[0] - 1, 1)
    total = _sum_where(masks.other, max_margin(distances, masks.same, margin))
    return total / tf.cast(num_others, total.dtype)


def max_margin(distance: tf.Tensor, same: tf.Tensor, margin: float) -> tf.Tensor:
    r"""Computes the contrastive loss of pairs.

    $d^2$ for pairs of the same class, and $\max(0, m - d)^2$ for other pairs.

    Reference: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", 2006.

    Args:
        distance: floating point distances d of any shape.
        same: booleans of the same shape: whether the two rows of a pair have the same class.
        margin: m.

    Returns:
        Losses of the same shape.
    """
    return tf.where(same, distance**2, tf.nn.relu(margin - distance) ** 2)


def euclidean_distances(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Computes Euclidean distances from inner products.

    In float32, the distance between rows that are closer than about 3e-4 of their length can be 0.

    Args:
        rows: `[rows, dim]` floating point numbers.
        columns: `[columns, dim]` numbers of the same dtype.

    Returns:
        `[rows, columns]` distances, with gradient 0 where they are 0.
    """
    row_squares, column_squares = (tf.reduce_sum(x**2, axis=1) for x in (rows, columns))
    squared = row_squares[:, None] + column_squares[None, :] - 2 * inner_products(rows, columns)
    is_zero = squared <= 0  # false for NaN
    # The slope of the square root at 0 is infinite and would make the gradient NaN.
    zeros, ones = tf.zeros_like(squared), tf.ones_like(squared)
    return tf.where(is_zero, zeros, tf.sqrt(tf.where(is_zero, ones, squared)))


def _masks_of_all_pairs(anchors: Rows, contrasts: Rows) -> PairMasks:
    return pair_masks(along_rows(anchors), along_columns(contrasts))


def _negatives_or_far(distances: tf.Tensor, masks: PairMasks) -> tf.Tensor:
    """Keeps the distances of negatives, and replaces all others by `_FAR`."""
    return tf.where(masks.same, tf.constant(_FAR, distances.dtype), distances)


# XLA keeps the integers on a GPU; TensorFlow would move them to the CPU and back.
@tf.function(jit_compile=True, autograph=False, reduce_retracing=True)
def _semi_hard_negatives(distances: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """Finds the nearest negative that is farther away than p, or the farthest negative.

    It sorts every row once. Under XLA, `tf.searchsorted` would compare all triplets.

    Args:
        distances: `[rows, columns]` non-negative distances.
        same: `[rows, columns]` booleans, false for negatives.

    Returns:
        `[rows, columns]` int32, the column of the negative of every p; any column if a row has no
        negatives.
    """
    order = tf.argsort(_sort_keys(distances, same), axis=1, stable=True)
    is_negative = tf.gather(~same, order, axis=1, batch_dims=1)
    negatives_so_far = tf.cumsum(tf.cast(is_negative, tf.int32), axis=1)
    num_columns = tf.shape(distances)[1]
    # The columns of the negatives in ascending order of distance, followed by a place that takes
    # all other columns and is never read.
    places = tf.where(is_negative, negatives_so_far - 1, num_columns)
    negatives = _scatter_columns(order, places, num_columns + 1)
    next_negative = tf.minimum(negatives_so_far, tf.maximum(negatives_so_far[:, -1:] - 1, 0))
    chosen = tf.gather(negatives, next_negative, axis=1, batch_dims=1)
    return _scatter_columns(chosen, order, num_columns)


def _sort_keys(distances: tf.Tensor, same: tf.Tensor) -> tf.Tensor:
    """Returns integers in the order of the distances, negatives before others at one distance."""
    dtype = {4: tf.int32, 8: tf.int64}[distances.dtype.size]
    # The bits of non-negative floating point numbers, read as an integer, have their order.
    bits = tf.bitcast(distances, dtype)
    # Subtracting half of the range keeps the double within the range.
    return 2 * (bits - (dtype.max // 2 + 1)) + tf.cast(same, dtype)


def _scatter_columns(values: tf.Tensor, columns: tf.Tensor, num_columns: tf.Tensor) -> tf.Tensor:
    """Writes the values of every row to the given columns of a matrix."""
    num_rows = tf.shape(values)[0]
    rows = tf.broadcast_to(tf.range(num_rows)[:, None], tf.shape(columns))
    return tf.scatter_nd(tf.stack([rows, columns], 2), values, [num_rows, num_columns])


def _count_positive_pairs(rows: Rows, dtype: tf.DType) -> tf.Tensor:
    """Counts the ordered pairs of different rows of one class."""
    ones = tf.ones(tf.shape(rows.group), dtype)
    sizes = tf.math.unsorted_segment_sum(ones, rows.group, tf.shape(rows.group)[0])
    return tf.reduce_sum(sizes * (sizes - 1))


def _sum_where(condition: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Sums the values of every row where the condition holds."""
    return tf.reduce_sum(tf.where(condition, values, 0), axis=1)
