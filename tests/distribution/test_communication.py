import numpy as np
import tensorflow as tf

from supcon_tf.distribution.replicas import gather_vectors, is_symbolic_build, replica_context


def test_one_replica_has_no_context():
    assert replica_context() is None
    assert not is_symbolic_build()


def test_vectors_of_two_replicas_are_gathered(two_replicas):
    def gather():
        replica = replica_context()
        own = tf.cast(replica.replica_id_in_sync_group, tf.float32)
        tree = {"vector": own + tf.constant([1.0, 2.0]), "none": None}
        return gather_vectors([tree, own + tf.constant([[3.0, 4.0], [5.0, 6.0]])], replica)

    tree, matrix = tf.function(lambda: two_replicas.run(gather))()
    assert tree["none"] is None
    for vector in tree["vector"].values:
        np.testing.assert_array_equal(vector, [1, 2, 2, 3])
    for rows in matrix.values:
        np.testing.assert_array_equal(rows, [[3, 4, 4, 5], [5, 6, 6, 7]])
