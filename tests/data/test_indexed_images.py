"""Images that a function reads."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import crop_flip
from supcon_tf.data import (
    IndexedImages,
    batches_from_step,
    evaluation_batches,
    multi_view_batches,
)


def read(indices):
    """Returns gray images whose brightness is ten times their index."""
    return [
        tf.io.encode_png(tf.fill([4, 4, 1], tf.cast(10 * i, tf.uint8))).numpy() for i in indices
    ]


def test_a_function_reads_the_chosen_images():
    source = IndexedImages(read, np.arange(20) % 2, ["even", "odd"], channels=1)
    source = source.take(np.arange(4, 20)).take([0, -1, 3])
    assert (len(source), source.labels.tolist(), source.channels) == (3, [0, 1, 1], 1)
    ((images, labels),) = evaluation_batches(source, size=4, batch_size=4)
    np.testing.assert_allclose(images[:, 0, 0, 0] * 255, [40, 190, 70], atol=1e-3)
    assert labels.numpy().tolist() == [0, 1, 1]
    mask = np.arange(20) > 17
    assert len(IndexedImages(read, np.zeros(20, int), ["all"]).take(mask)) == 2


def test_bad_input_and_bad_functions_are_named():
    with pytest.raises(ValueError, match="`read` must be a function.*list"):
        IndexedImages([b""], [0], ["all"])
    with pytest.raises(ValueError, match="`channels` must be.*Received: 2"):
        IndexedImages(read, [0], ["all"], channels=2)
    for wrong, received in (
        (lambda indices: [b""], "1 objects of the types .*bytes"),
        (lambda indices: ["image", "image"], "2 objects of the types .*str"),
    ):
        source = IndexedImages(wrong, [0, 0], ["all"])
        with pytest.raises(tf.errors.OpError, match=f"must return the bytes of 2.*{received}"):
            list(evaluation_batches(source, size=4, batch_size=2))


def test_workers_read_only_their_own_images():
    rows = []
    for worker in range(2):
        indices = []

        def record(batch, indices=indices):
            indices.extend(batch.tolist())
            return read(batch)

        source = IndexedImages(record, np.zeros(16, int), ["all"], channels=1)
        context = tf.distribute.InputContext(2, worker, 2)
        policy = crop_flip(4, flip=False)
        batches = multi_view_batches(source, policy, batch_size=16, input_context=context)
        assert len(list(batches)) == 1
        rows.append(indices)
    assert [len(indices) for indices in rows] == [8, 8]
    assert sorted(rows[0] + rows[1]) == list(range(16))


def test_a_training_resumes_with_the_same_batches():
    source = IndexedImages(read, np.arange(20) % 2, ["even", "odd"], channels=1)
    batches = multi_view_batches(source, crop_flip(4), batch_size=4)
    expected = list(batches_from_step(batches, 0).take(8))
    resumed = list(batches_from_step(batches, 6).take(2))
    for actual, batch in zip(resumed, expected[6:], strict=True):
        np.testing.assert_array_equal(actual[0], batch[0])
        np.testing.assert_array_equal(actual[1], batch[1])
