"""Rows of the global batch, gathered from all replicas."""

import tensorflow as tf

from supcon_tf.similarity.masks import Rows, make_rows


def gather_rows(
    z: tf.Tensor,
    class_ids: tf.Tensor,
    sample_ids: tf.Tensor,
    replica: tf.distribute.ReplicaContext,
    ranked: bool = False,
    differentiable: bool = False,
) -> tuple[Rows, Rows]:
    """Describes a replica's rows, and everyone's rows that they are contrasted with.

    Args:
        z: `[rows, dim]` embeddings; every replica has the same number of them, known statically.
        class_ids: `[rows]` integers; -1 is a row without a label.
        sample_ids: `[rows]` integers from 0 and below the number of rows, equal for the views of
            one sample, the same on every replica.
        replica: the replica.
        ranked: see `rows.make_rows`.
        differentiable: whether gradients with respect to everyone's rows are sent back to the
            replicas that the rows are from, and added up there; otherwise there are none.

    Returns:
        The replica's rows, and everyone's: the first replica's, then the next one's, and so on.
    """
    size, count = z.shape[0], replica.num_replicas_in_sync
    everyones = make_rows(
        replica.all_gather(z if differentiable else tf.stop_gradient(z), axis=0),
        replica.all_gather(tf.cast(class_ids, tf.int64), axis=0),
        tf.tile(sample_ids, [count]) + size * tf.repeat(tf.range(count), size),
        ranked,
    )
    first = replica.replica_id_in_sync_group * size
    own = (None if x is None else x[first : first + size] for x in everyones[1:])
    return Rows(z, *own), everyones
