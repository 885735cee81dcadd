"""Rows of embeddings, and the sets A(i), P(i) and N(i) of every anchor without an N x N mask.

A few integers per row define the sets. Comparing the integers of a row and a column shows whether
the column is a positive or a negative of the row. Masks exist only for one tile at a time.
"""

from typing import NamedTuple

import tensorflow as tf

from supcon_tf.labels import UNLABELED

# The sets of columns that a row is compared with.
OTHERS = "others"  # A(i): all columns except the row itself
POSITIVES = "positives"  # P(i): other columns of the same class or the same unlabeled sample
NEGATIVES = "negatives"  # N(i): columns of another class


class Rows(NamedTuple):
    """Rows of embeddings and the integers that define their sets of columns.

    Attributes:
        z: `[rows, dim]` floating point embeddings.
        row_id: `[rows]` int32, equal for an anchor and the same row among the contrasts. A row is
            not compared with itself. `None` if the two sides of a tile have no row in common.
        group: `[rows]` int32, equal for rows that are positives of each other.
        sample: `[rows]` int32, equal for the views of one sample. `None` unless ranked.
        rank: `[rows]` int32, the position of the row's sample among the contrasts' samples of the
            same class, from 0. `None` unless ranked.
        present: `[rows]` booleans, false for rows to ignore, such as the empty part of a queue.
            `None` to use all rows.
        log_weight: `[rows]` logarithms of the weights of the rows as contrasts, in reductions that
            are weighted; `None` if none is.
    """

    z: tf.Tensor
    row_id: tf.Tensor | None
    group: tf.Tensor
    sample: tf.Tensor | None
    rank: tf.Tensor | None
    present: tf.Tensor | None = None
    log_weight: tf.Tensor | None = None


def make_rows(
    z: tf.Tensor, class_ids: tf.Tensor, sample_ids: tf.Tensor, ranked: bool = False
) -> Rows:
    """Creates rows that are contrasted with each other.

    Args:
        z: `[rows, dim]` embeddings.
        class_ids: `[rows]` integers; -1 marks a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample. The views of a sample must
            have the same class id.
        ranked: whether to rank the samples of each class, which `positives_cap` requires.

    Returns:
        The rows, as anchors and as contrasts.
    """
    row_id = tf.range(tf.shape(z)[0])
    is_contrast = tf.ones_like(row_id, tf.bool) if ranked else None
    return Rows(z, row_id, *_group_sample_and_rank(class_ids, sample_ids, is_contrast))


def make_anchor_and_contrast_rows(
    anchors: tf.Tensor,
    class_ids: tf.Tensor,
    sample_ids: tf.Tensor,
    contrasts: tf.Tensor,
    contrast_class_ids: tf.Tensor,
    contrast_sample_ids: tf.Tensor,
    ranked: bool = False,
    present: tf.Tensor | None = None,
) -> tuple[Rows, Rows]:
    """Creates anchors, and the rows that they are contrasted with, none of which is an anchor.

    Args:
        anchors: `[anchors, dim]` embeddings.
        class_ids: `[anchors]` integers; -1 marks a row without a label.
        sample_ids: `[anchors]` integers, equal for rows of one sample, among the contrasts too.
            Rows of one sample must have the same class id.
        contrasts: `[contrasts, dim]` embeddings.
        contrast_class_ids: `[contrasts]` integers, like `class_ids`.
        contrast_sample_ids: `[contrasts]` integers, like `sample_ids`.
        ranked: whether to rank the samples of each class, which `positives_cap` requires.
        present: `[contrasts]` booleans, false for contrasts to ignore. They must have class id -1
            and a sample id of their own. `None` if every contrast is present.

    Returns:
        The anchors and the contrasts.
    """
    num_anchors, num_contrasts = tf.shape(anchors)[0], tf.shape(contrasts)[0]
    is_contrast = tf.range(num_anchors + num_contrasts) >= num_anchors
    integers = _group_sample_and_rank(
        tf.concat([class_ids, tf.cast(contrast_class_ids, class_ids.dtype)], 0),
        tf.concat([sample_ids, tf.cast(contrast_sample_ids, sample_ids.dtype)], 0),
        is_contrast if ranked else None,
    )
    if present is None:
        present = tf.ones([num_contrasts], tf.bool)
    present = tf.concat([tf.ones([num_anchors], tf.bool), present], 0)
    row_id = tf.range(num_anchors + num_contrasts)
    vectors = (row_id, *integers, present)
    of_anchors = (None if x is None else x[:num_anchors] for x in vectors)
    of_contrasts = (None if x is None else x[num_anchors:] for x in vectors)
    return Rows(anchors, *of_anchors), Rows(contrasts, *of_contrasts)


class PairMasks(NamedTuple):
    """Symmetric relations between the rows and the columns of a tile, as boolean masks.

    Attributes:
        other: whether the row and the column are different rows.
        same: whether both are in the same group: of one class, or of one unlabeled sample.
    """

    other: tf.Tensor
    same: tf.Tensor


def pair_masks(i: Rows, j: Rows) -> PairMasks:
    """Compares the integers of rows and columns.

    Args:
        i: the rows of a tile, with integers of shape `[rows, 1]`.
        j: the columns of the tile, with integers of shape `[1, columns]`.

    Returns:
        Masks that broadcast to `[rows, columns]`.
    """
    disjoint = i.row_id is None or j.row_id is None
    itself = tf.constant(False) if disjoint else i.row_id == j.row_id
    return PairMasks(other=~itself, same=i.group == j.group)


def set_mask(
    anchors: Rows, contrasts: Rows, masks: PairMasks, column_set: str, positives_cap: int | None
) -> tf.Tensor:
    """Returns the mask of a set of contrasts of every anchor.

    Args:
        anchors: the rows or the columns of a tile.
        contrasts: the other side of the tile.
        masks: the masks of the tile, from `pair_masks`.
        column_set: `OTHERS`, `POSITIVES` or `NEGATIVES`.
        positives_cap: the number of samples, besides its own, whose views an anchor keeps as
            positives: those with the lowest sample ids. The views of further samples of the class
            belong to none of the three sets. `None` keeps all.

    Returns:
        Booleans that broadcast to the shape of the tile.
    """
    if column_set == NEGATIVES:
        return masks.other & ~masks.same
    if positives_cap is None:
        return masks.other & masks.same if column_set == POSITIVES else masks.other
    own_sample_is_before = anchors.rank < contrasts.rank  # type: ignore[operator]  # both are ranked
    rank_among_other_samples = contrasts.rank - tf.cast(own_sample_is_before, tf.int32)
    kept = (anchors.sample == contrasts.sample) | (rank_among_other_samples < positives_cap)
    if column_set == POSITIVES:
        return masks.other & masks.same & kept
    return masks.other & (kept | ~masks.same)


def average_classes(anchors: Rows, contrasts: Rows | None) -> tuple[Rows, Rows | None]:
    """Gives rows weights as contrasts, which sum to 1 over the contrasts of each group.

    Args:
        anchors: the anchors.
        contrasts: the contrasts; `None` if they are the anchors.

    Returns:
        The anchors and the contrasts with weights.
    """
    columns = anchors if contrasts is None else contrasts
    ones = tf.ones(tf.shape(columns.z)[:1], columns.z.dtype)  # without a gradient to the rows
    if columns.present is not None:
        ones *= tf.cast(columns.present, ones.dtype)
    num_groups = tf.shape(anchors.group)[0] + tf.shape(columns.group)[0]
    counts = tf.maximum(tf.math.unsorted_segment_sum(ones, columns.group, num_groups), 1)

    def weighted(rows: Rows) -> Rows:
        return rows._replace(log_weight=-tf.math.log(tf.gather(counts, rows.group)))

    return weighted(anchors), None if contrasts is None else weighted(contrasts)


def dense_rank(values: tf.Tensor) -> tf.Tensor:
    """Replaces integers by their positions among the distinct integers, in ascending order."""
    order = tf.argsort(values, stable=True)
    ascending = tf.gather(values, order)
    steps = tf.cast(ascending[1:] != ascending[:-1], tf.int32)
    positions = tf.cumsum(tf.pad(steps, [[1, 0]]))[: tf.shape(values)[0]]
    # XLA rejects invert_permutation if the values come from another sort.
    return tf.scatter_nd(order[:, None], positions, tf.shape(positions))


def _group_sample_and_rank(
    class_ids: tf.Tensor, sample_ids: tf.Tensor, is_contrast: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
    """Computes `group`, `sample` and `rank` of `Rows` by sorting, in O(N log N).

    Args:
        class_ids: `[rows]` integers.
        sample_ids: `[rows]` integers.
        is_contrast: `[rows]` booleans. `None` leaves `sample` and `rank` out.
    """
    size = tf.shape(class_ids)[0]
    class_rank, sample = dense_rank(class_ids), dense_rank(sample_ids)
    group = dense_rank(tf.where(class_ids == UNLABELED, size + sample, class_rank))
    if is_contrast is None:
        return group, None, None
    # Pairs of class and sample, numbered in ascending order. The rank of a sample is the number of
    # samples of its class that have a lower id and occur among the contrasts.
    class_and_sample = dense_rank(
        tf.cast(class_rank, tf.int64) * tf.cast(size, tf.int64) + tf.cast(sample, tf.int64)
    )
    occurs = tf.math.unsorted_segment_max(tf.cast(is_contrast, tf.int32), class_and_sample, size)
    occurs = tf.maximum(occurs, 0)  # an empty segment has the lowest integer
    before = tf.gather(tf.cumsum(occurs, exclusive=True), class_and_sample)
    first = tf.gather(tf.math.unsorted_segment_min(before, class_rank, size), class_rank)
    # An anchor whose own sample is not among the contrasts gets the largest rank. Its sample is
    # then before no other in `set_mask`.
    rank = tf.where(tf.gather(occurs, class_and_sample) > 0, before - first, tf.int32.max)
    return group, sample, rank
