import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.models.batch_specs import global_batch_spec, rows_per_replica


def batches(size, drop_remainder=True):
    data = {"x": np.zeros([24, 3], "float32"), "y": np.zeros([24], "int64")}
    return tf.data.Dataset.from_tensor_slices(data).batch(size, drop_remainder=drop_remainder)


def test_of_a_dataset():
    spec = global_batch_spec(batches(8), replicas=2)
    assert spec == {"x": tf.TensorSpec([8, 3]), "y": tf.TensorSpec([8], tf.int64)}
    assert rows_per_replica(batches(8), replicas=2) == 4


def test_of_a_distributed_dataset(two_replicas):
    data = two_replicas.distribute_datasets_from_function(lambda context: batches(4))
    spec = global_batch_spec(data, replicas=2)
    assert spec == {"x": tf.TensorSpec([8, 3]), "y": tf.TensorSpec([8], tf.int64)}
    assert rows_per_replica(data, replicas=2) == 4


def test_of_a_distributed_dataset_with_an_unknown_size(two_replicas):
    data = two_replicas.distribute_datasets_from_function(lambda context: batches(4, False))
    assert global_batch_spec(data, replicas=2)["x"] == tf.TensorSpec([None, 3])
    assert rows_per_replica(data, replicas=2) is None


@pytest.mark.parametrize(
    "data",
    [
        batches(7),
        batches(8, drop_remainder=False),
        tf.data.Dataset.from_tensors((tf.zeros([8]), tf.zeros([4]))),
        tf.data.Dataset.from_tensors((tf.zeros([8]), tf.zeros([]))),
        np.zeros([8, 3]),
    ],
)
def test_sizes_that_vary(data):
    assert rows_per_replica(data, replicas=2) is None
