"""Images that are read in blocks and shuffled in a buffer."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf._epochs import find_epochs
from supcon_tf.augmentation import crop_flip
from supcon_tf.data import (
    ArrayImages,
    IndexedImages,
    batches_from_step,
    multi_view_batches,
    training_batches,
)
from supcon_tf.data.sampling import block_sampler

POLICY = crop_flip(4, flip=False)


class NumberedImages:
    """Images that are labeled with their indices, and the indices in every call of `read`."""

    def __init__(self, count):
        self.calls = []
        rng = np.random.default_rng(0)
        self.contents = [
            tf.io.encode_png(rng.integers(0, 256, [5, 5, 1], np.uint8)).numpy()
            for _ in range(count)
        ]
        names = [str(i) for i in range(count)]
        self.source = IndexedImages(self.read, np.arange(count), names, channels=1)

    def read(self, indices):
        self.calls.append(indices.tolist())
        return [self.contents[i] for i in indices]

    def take_calls(self):
        calls, self.calls = self.calls, []
        return calls


def read_batches(dataset):
    return [(views.numpy(), labels.numpy()) for views, labels in dataset]


@pytest.mark.parametrize(
    ("num_images", "batch_size", "block_size", "steps_per_window"),
    [(1000, 128, 64, 3), (330, 30, 30, 4), (300, 97, 97, 2), (400, 128, 64, 100), (64, 64, 64, 1)],
)
def test_every_epoch_is_a_new_order_of_blocks(num_images, batch_size, block_size, steps_per_window):
    sample = tf.function(block_sampler(num_images, batch_size, steps_per_window))
    steps = num_images // batch_size
    drawn, orders = set(), []
    for epoch in range(8):
        order = np.stack(
            [
                sample(tf.constant(step, tf.int64), tf.constant([7, epoch], tf.int64))[0]
                for step in range(steps)
            ]
        )
        assert len(np.unique(order)) == order.size
        assert order.min() >= 0 and order.max() < num_images
        for first in range(0, steps, steps_per_window):
            window = np.sort(order[first : first + steps_per_window], axis=None)
            # The image 0 can be inside a block, which then has two parts.
            assert np.sum(np.diff(window) != 1) <= window.size // block_size
        orders.append(order)
        drawn |= set(order.ravel().tolist())
    assert len({order.tobytes() for order in orders}) == 8
    assert len(drawn) == num_images


def test_the_images_of_a_window_are_mixed():
    sample = block_sampler(64 * 100, 256, 10)
    batch = sample(tf.constant(0, tf.int64), tf.constant([1, 2], tf.int64))[0].numpy()
    _, counts = np.unique(batch // 64, return_counts=True)
    # A batch has about 6.4 images from each of the 40 blocks of its window.
    assert len(counts) >= 35
    assert counts.max() < 25


def test_views_equal_those_of_images_in_any_order():
    numbered = NumberedImages(192)
    buffered = multi_view_batches(numbered.source, POLICY, batch_size=64, shuffle_buffer=150)
    plain = multi_view_batches(numbered.source, POLICY, batch_size=64)
    for _ in range(2):
        of_image = [
            dict(zip(np.concatenate(labels).tolist(), np.concatenate(views), strict=True))
            for views, labels in (
                zip(*read_batches(dataset), strict=True) for dataset in (buffered, plain)
            )
        ]
        assert of_image[0].keys() == of_image[1].keys() == set(range(192))
        for image, views in of_image[0].items():
            np.testing.assert_array_equal(views, of_image[1][image])


def test_an_epoch_reads_every_image_once_in_order():
    numbered = NumberedImages(640)
    batches = multi_view_batches(numbered.source, POLICY, batch_size=64, shuffle_buffer=256)
    assert len(read_batches(batches)) == 10
    calls = numbered.take_calls()
    assert sorted(sum(calls, [])) == list(range(640))
    assert all(call == sorted(call) for call in calls)
    jumps = sum(int(np.sum(np.diff(call) != 1)) for call in calls)
    assert len(calls) + jumps <= 2 * 640 // 64


@pytest.mark.parametrize("step", [5, 13])
def test_resuming_continues_exactly_and_reads_nothing_twice(step):
    numbered = NumberedImages(640)
    batches = multi_view_batches(numbered.source, POLICY, batch_size=64, shuffle_buffer=256)
    whole = read_batches(batches) + read_batches(batches)
    numbered.take_calls()
    rest = read_batches(find_epochs(batches).between(step, 20))
    for resumed, expected in zip(rest, whole[step:], strict=True):
        np.testing.assert_array_equal(resumed[0], expected[0])
        np.testing.assert_array_equal(resumed[1], expected[1])
    labels = np.concatenate([labels for _, labels in whole[step:]])
    np.testing.assert_array_equal(sorted(sum(numbered.take_calls(), [])), sorted(labels))
    endless = read_batches(batches_from_step(batches, step).take(2))
    np.testing.assert_array_equal(endless[1][0], whole[step + 1][0])


def test_workers_read_different_blocks_of_the_same_batches():
    numbered = NumberedImages(512)
    options = {"batch_size": 128, "shuffle_buffer": 256}
    (expected, *_) = read_batches(multi_view_batches(numbered.source, POLICY, **options))
    numbered.take_calls()
    shares, read = [], []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        shares.append(
            read_batches(
                multi_view_batches(numbered.source, POLICY, input_context=context, **options)
            )
        )
        read.append(sorted(sum(numbered.take_calls(), [])))
    assert sorted(read[0] + read[1]) == list(range(512))
    for part in range(2):
        np.testing.assert_array_equal(
            np.concatenate([share[0][part] for share in shares]), expected[part]
        )


def test_a_classifier_can_be_trained_from_a_buffer():
    numbered = NumberedImages(64)
    ((images, labels),) = training_batches(
        numbered.source, POLICY, batch_size=64, shuffle_buffer=64
    )
    assert images.shape == (64, 4, 4, 1)
    assert sorted(labels.numpy()) == list(range(64))


def test_an_error_of_the_function_is_reported():
    def read(indices):
        raise OSError("disk on fire")

    source = IndexedImages(read, np.zeros(64, int), ["all"])
    with pytest.raises(tf.errors.OpError, match="disk on fire"):
        list(multi_view_batches(source, POLICY, batch_size=64, shuffle_buffer=64))


def test_unsuitable_arguments_are_errors():
    source = NumberedImages(64).source
    arrays = ArrayImages(np.zeros([64, 5, 5, 1], np.uint8), np.zeros(64, int), ["all"])
    for images, options, message in (
        (source, {"shuffle_buffer": 31}, "not be smaller than the batch.*shuffle_buffer=31"),
        (source, {"shuffle_buffer": 0}, "`shuffle_buffer` must be.*Received"),
        (source, {"shuffle_buffer": 64, "images_per_class": 2}, "Pass no `shuffle_buffer`"),
        (arrays, {"shuffle_buffer": 64}, "requires an IndexedImages.*ArrayImages"),
    ):
        with pytest.raises(ValueError, match=message):
            multi_view_batches(images, POLICY, batch_size=32, **options)
