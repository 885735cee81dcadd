"""What replicas tell each other, so that each contrasts its rows with everyone's.

Every replica holds a part of the global batch. Forward it gathers everyone's embeddings and class
ids once. Backward it gathers, of everyone's anchors, a few numbers each (their log-sum-exps and
upstream gradients), from which the complete gradient of its own rows follows: no embeddings, nor
gradients of embeddings, are sent again. (The losses of `pairs.py` send the gradients back instead.)

Collectives stay outside of what XLA compiles.
"""

from typing import Any

import tensorflow as tf


def replica_context() -> tf.distribute.ReplicaContext | None:
    """Returns the replica that runs this code, or `None` if it has no others to talk to."""
    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def is_symbolic_build() -> bool:
    """Tells whether Keras only wants to learn shapes, before it trains on several replicas.

    It then calls losses outside of any replica, with the average of the replicas' labels, which is
    no integer even if they are.
    """
    return (
        tf.distribute.in_cross_replica_context()
        and tf.distribute.get_strategy().num_replicas_in_sync > 1
        and not tf.executing_eagerly()
    )


def gather_vectors(tree: Any, replica: tf.distribute.ReplicaContext) -> Any:
    """Gathers everyone's part of vectors, in one message.

    Args:
        tree: a structure of `[rows]` or `[vectors, rows]` tensors of the same dtype and number of
            rows, and of `None`.
        replica: the replica.

    Returns:
        The same structure with everyone's rows.
    """
    parts = [x for x in tf.nest.flatten(tree) if x is not None]
    matrices = [tf.reshape(x, [-1, tf.shape(x)[-1]]) for x in parts]
    message = tf.transpose(tf.concat(matrices, axis=0))
    gathered = tf.transpose(replica.all_gather(message, axis=0))
    split = iter(tf.split(gathered, [1 if x.shape.rank == 1 else x.shape[0] for x in parts]))

    def everyones(x: tf.Tensor | None) -> tf.Tensor | None:
        if x is None:
            return None
        rows = next(split)
        return rows if x.shape.rank == 2 else rows[0]

    return tf.nest.map_structure(everyones, tree)
