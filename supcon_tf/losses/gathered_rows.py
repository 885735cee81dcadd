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
    """Makes the rows of a replica, and the rows of all replicas that they are compared with.

    Args:
        z: `[rows, dim]` embeddings of the replica, with the same static number of rows on every
            replica.
        class_ids: `[rows]` integers, -1 for unlabeled rows.
        sample_ids: `[rows]` integers of at least 0 and below the number of rows, equal for the
            views of one sample, the same on every replica.
        replica: the replica.
        ranked: as in `make_rows`.
        differentiable: whether the gradient with respect to the rows of all replicas is sent back
            to the replicas that hold them, and summed there; otherwise they are constants.

    Returns:
        The rows of the replica, and the rows of all replicas in the order of the replicas.
    """
    size, replicas = z.shape[0], replica.num_replicas_in_sync
    all_rows = make_rows(
        replica.all_gather(z if differentiable else tf.stop_gradient(z), axis=0),
        replica.all_gather(tf.cast(class_ids, tf.int64), axis=0),
        tf.tile(sample_ids, [replicas]) + size * tf.repeat(tf.range(replicas), size),
        ranked,
    )
    first = replica.replica_id_in_sync_group * size
    own = (None if x is None else x[first : first + size] for x in all_rows[1:])
    return Rows(z, *own), all_rows
