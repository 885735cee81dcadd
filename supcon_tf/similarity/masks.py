"""Who is compared with whom: the sets A(i), P(i) and N(i) of every anchor, without an N x N mask.

A few integers per row say everything: two rows meet in a tile, and comparing their integers tells
whether the column belongs to the row's positives, its negatives, or neither.
"""

from typing import NamedTuple

import tensorflow as tf

from supcon_tf.labels import UNLABELED

# Index of a row that is in nobody's sets, such as padding.
ABSENT = -1

# The sets of columns that a row is compared with.
OTHERS = "others"  # A(i): all columns but the row itself
POSITIVES = "positives"  # P(i): the others of the same class, or of the same unlabeled sample
NEGATIVES = "negatives"  # N(i): the others that are not of the same class


class Rows(NamedTuple):
    """Rows of embeddings and what decides which of them are compared.

    Attributes:
        z: `[rows, dim]` floating point embeddings.
        index: `[rows]` int32, equal for a row among the anchors and the same row among the
            contrasts, which is not compared with itself; -1 for a row that is not there.
        group: `[rows]` int32, equal for rows that are positives of each other.
        sample: `[rows]` int32, equal for the views of one sample; `None` without `ranked`.
        rank: `[rows]` int32, the place of the row's sample among the contrasts' samples of the same
            class, from 0; `None` without `ranked`.
    """

    z: tf.Tensor
    index: tf.Tensor
    group: tf.Tensor
    sample: tf.Tensor | None
    rank: tf.Tensor | None


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
    """Describes anchors and the rows they are contrasted with, of which none is an anchor itself.

    Args:
        anchors: `[anchors, dim]` embeddings.
        class_ids: `[anchors]` integers; -1 is a row without a label.
        sample_ids: `[anchors]` integers, equal for rows of the same sample, on both sides. Rows of
            one sample must have the same class id.
        contrasts: `[contrasts, dim]` embeddings.
        contrast_class_ids: `[contrasts]` integers, as `class_ids`.
        contrast_sample_ids: `[contrasts]` integers, as `sample_ids`.
        ranked: whether to rank the samples of a class, which `positives_cap` needs.
        present: `[contrasts]` booleans, or `None` if all are true: which contrasts are there. One
            that is not must have class id -1 and a sample id of its own.

    Returns:
        The anchors and the contrasts.
    """
    size = tf.shape(anchors)[0]
    side = [size, tf.shape(contrasts)[0]]
    of_contrast = tf.range(side[0] + side[1]) >= size
    group, sample, rank = _integers(
        tf.concat([class_ids, tf.cast(contrast_class_ids, class_ids.dtype)], 0),
        tf.concat([sample_ids, tf.cast(contrast_sample_ids, sample_ids.dtype)], 0),
        of_contrast if ranked else None,
    )
    index = tf.range(side[0] + side[1])
    if present is not None:
        index = tf.where(tf.concat([tf.ones([size], tf.bool), present], 0), index, ABSENT)
    columns = [
        [None, None] if x is None else tf.split(x, side) for x in (index, group, sample, rank)
    ]
    return Rows(anchors, *(x[0] for x in columns)), Rows(contrasts, *(x[1] for x in columns))


def make_rows(
    z: tf.Tensor, class_ids: tf.Tensor, sample_ids: tf.Tensor, ranked: bool = False
) -> Rows:
    """Describes rows that are contrasted with each other.

    Args:
        z: `[rows, dim]` embeddings.
        class_ids: `[rows]` integers; -1 is a row without a label.
        sample_ids: `[rows]` integers, equal for the views of one sample, which must have the same
            class id.
        ranked: whether to rank the samples of a class, which `positives_cap` needs.
    """
    index = tf.range(tf.shape(z)[0])
    of_contrast = tf.ones_like(index, tf.bool) if ranked else None
    return Rows(z, index, *_integers(class_ids, sample_ids, of_contrast))


class PairMasks(NamedTuple):
    """What holds between a row and a column in both directions: booleans of a tile's shape.

    Attributes:
        other: they are not the same row.
        same: they are of the same class, or of the same unlabeled sample.
    """

    other: tf.Tensor
    same: tf.Tensor


def pair_masks(i: Rows, j: Rows, same_rows: bool | None) -> PairMasks:
    """Compares the integers of rows and columns.

    Args:
        i: the rows of a tile, with integers of shape `[rows, 1]`.
        j: its columns, with integers of shape `[1, columns]`.
        same_rows: whether the columns are the rows, in the same order, or none of the rows; `None`
            if only their indices tell. What is known beforehand costs no comparison.
    """
    if same_rows is None:
        itself = i.index == j.index
    elif same_rows:
        itself = tf.eye(tf.shape(i.index)[0], dtype=tf.bool)
    else:
        itself = tf.constant(False)
    return PairMasks(other=~itself, same=i.group == j.group)


def set_mask(
    i: Rows, j: Rows, masks: PairMasks, among: str, positives_cap: int | None
) -> tf.Tensor:
    """Tells which columns belong to a set of each row.

    Args:
        i: the rows of a tile.
        j: its columns.
        masks: `pair_masks(i, j)`.
        among: the set, `OTHERS`, `POSITIVES` or `NEGATIVES`.
        positives_cap: `None`, or the number of samples, besides its own, of which a row keeps the
            views as positives: those with the lowest sample ids. The views of any further sample of
            the class belong to none of the three sets.

    Returns:
        Booleans of the tile's shape: whether j is in the set of i.
    """
    if among == NEGATIVES:
        return masks.other & ~masks.same
    if positives_cap is None:
        return masks.other & masks.same if among == POSITIVES else masks.other
    own_before = i.rank < j.rank  # type: ignore[operator]  # rows under a cap are ranked
    rank_without_own_sample = j.rank - tf.cast(own_before, tf.int32)
    kept = (i.sample == j.sample) | (rank_without_own_sample < positives_cap)
    if among == POSITIVES:
        return masks.other & masks.same & kept
    return masks.other & (kept | ~masks.same)


def _integers(
    class_ids: tf.Tensor, sample_ids: tf.Tensor, of_contrast: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
    """Turns ids into the `group`, `sample` and `rank` of `Rows`, by sorting: O(N log N)."""
    size = tf.shape(class_ids)[0]
    class_of, sample = dense_rank(class_ids), dense_rank(sample_ids)
    group = dense_rank(tf.where(class_ids == UNLABELED, size + sample, class_of))
    if of_contrast is None:
        return group, None, None
    # Among the contrasts' samples of a class, the rank counts those with a lower sample id.
    within_class = dense_rank(
        tf.cast(class_of, tf.int64) * tf.cast(size, tf.int64) + tf.cast(sample, tf.int64)
    )
    present = tf.math.unsorted_segment_max(tf.cast(of_contrast, tf.int32), within_class, size)
    present = tf.maximum(present, 0)  # of empty segments
    before = tf.gather(tf.cumsum(present, exclusive=True), within_class)
    first = tf.gather(tf.math.unsorted_segment_min(before, class_of, size), class_of)
    # An anchor whose own sample is not among the contrasts has none of them to leave out.
    rank = tf.where(tf.gather(present, within_class) > 0, before - first, tf.int32.max)
    return group, sample, rank


def dense_rank(values: tf.Tensor) -> tf.Tensor:
    """Replaces integers by their places among the distinct integers, in ascending order."""
    order = tf.argsort(values, stable=True)
    ascending = tf.gather(values, order)
    steps = tf.cast(ascending[1:] != ascending[:-1], tf.int32)
    places = tf.cumsum(tf.pad(steps, [[1, 0]]))[: tf.shape(values)[0]]
    # Not by invert_permutation, which XLA refuses where the values come from another sort.
    return tf.scatter_nd(order[:, None], places, tf.shape(places))
