"""Communication between replicas, each of which holds a share of the global batch.

A contrastive loss gathers the embeddings and class ids of all replicas once, in the forward pass.
In the backward pass it gathers a few numbers per anchor (log-sum-exps and upstream gradients), from
which each replica computes the complete gradient of its own rows. Neither embeddings nor their
gradients are sent in the backward pass. The metric learning losses do send the gradients of
embeddings back.

Collectives stay outside of the functions that XLA compiles.
"""

from typing import Any

import tensorflow as tf


def replica_context() -> tf.distribute.ReplicaContext | None:
    """Returns the context of the replica that runs this code; `None` if it is the only one."""
    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def is_symbolic_build() -> bool:
    """Returns whether Keras is inferring shapes before it trains on several replicas.

    Keras then calls losses and metrics outside of any replica. They receive the average of the
    labels of all replicas, in floating point even if labels are integers.
    """
    return (
        tf.distribute.in_cross_replica_context()
        and tf.distribute.get_strategy().num_replicas_in_sync > 1
        and not tf.executing_eagerly()
    )


def gather_vectors(tree: Any, replica: tf.distribute.ReplicaContext) -> Any:
    """Gathers vectors of all replicas in a single collective.

    Args:
        tree: a structure of `[rows]` or `[vectors, rows]` tensors of the same dtype and number of
            rows, and of `None`.
        replica: the replica.

    Returns:
        The same structure with the rows of all replicas.
    """
    parts = [x for x in tf.nest.flatten(tree) if x is not None]
    matrices = [tf.reshape(x, [-1, tf.shape(x)[-1]]) for x in parts]
    message = tf.transpose(tf.concat(matrices, axis=0))
    gathered = tf.transpose(replica.all_gather(message, axis=0))
    split = iter(tf.split(gathered, [1 if x.shape.rank == 1 else x.shape[0] for x in parts]))

    def gathered_part(x: tf.Tensor | None) -> tf.Tensor | None:
        if x is None:
            return None
        rows = next(split)
        return rows if x.shape.rank == 2 else rows[0]

    return tf.nest.map_structure(gathered_part, tree)
