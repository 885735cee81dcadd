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
    """Creates the rows of a replica, and the rows of all replicas to compare them with.

    Args:
        z: `[rows, dim]` embeddings of the replica, with the same static number of rows on every
            replica.
        class_ids: `[rows]` integers, -1 for unlabeled rows.
        sample_ids: `[rows]` integers from 0 to the number of rows minus 1, equal for the views of
            one sample. All replicas pass the same ids.
        replica: the replica.
        ranked: as in `make_rows`.
        differentiable: whether gradients with respect to the gathered embeddings are sent back to
            the replicas that hold them, and summed there. Otherwise the gathered embeddings are
            constants.

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
