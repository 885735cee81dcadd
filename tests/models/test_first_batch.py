import keras
import numpy as np
import tensorflow as tf

from supcon_tf.models.first_batch import read_first_rows

IMAGES = np.arange(80.0, dtype=np.float32).reshape(40, 2)


def test_a_generator_keeps_its_first_batch():
    batches = [(IMAGES[:4], 0), (IMAGES[4:8], 1)]
    rows, data = read_first_rows(batch for batch in batches)
    np.testing.assert_array_equal(rows, IMAGES[:4])
    for batch, expected in zip(data, batches, strict=True):
        assert batch is expected
    rows, data = read_first_rows(batch for batch in [])
    assert rows is None
    assert list(data) == []


def test_other_kinds_of_data(two_replicas):
    class Batches(keras.utils.PyDataset):
        def __getitem__(self, index):
            return IMAGES[4 * index : 4 * index + 4], np.zeros(4)

    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, IMAGES)).batch(4)
    distributed = two_replicas.experimental_distribute_dataset(dataset)
    for data, expected in (
        (IMAGES, IMAGES[:32]),
        (tf.constant(IMAGES), IMAGES[:32]),
        (dataset, IMAGES[:4]),
        (Batches(), IMAGES[:4]),
        (distributed, IMAGES[:2]),
    ):
        rows, same = read_first_rows(data)
        np.testing.assert_array_equal(rows, expected)
        assert same is data
    rows, _ = read_first_rows({"a": IMAGES, "b": IMAGES})
    assert {name: len(x) for name, x in rows.items()} == {"a": 32, "b": 32}
    assert read_first_rows(dataset.take(0))[0] is None
    assert read_first_rows("unknown")[0] is None
