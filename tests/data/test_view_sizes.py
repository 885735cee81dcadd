"""Views of several sizes, each with a transform of its own."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import Mixing, crop_flip
from supcon_tf.data import (
    TensorSource,
    batches_from_step,
    flatten_views,
    mix_batches,
    multi_view_batches,
    training_batches,
)

AGES = np.arange(12.0, dtype=np.float32)


def long(age, seed):
    return age + tf.random.stateless_uniform([4], seed, 0, 0.49)


def short(age, seed):
    return age + tf.random.stateless_uniform([2], seed, 0, 0.49)


def source():
    return TensorSource(AGES, np.arange(12) % 3, ["a", "b", "c"])


def both(**arguments):
    return multi_view_batches(
        source(), [long, short], **{"batch_size": 4, "num_views": [2, 3], **arguments}
    )


def test_each_size_has_views_of_the_same_samples():
    dataset = both()
    (large, small), labels = dataset.element_spec
    assert (large.shape, small.shape, labels.shape) == ((4, 2, 4), (4, 3, 2), (4,))
    single = multi_view_batches(source(), long, batch_size=4)
    epoch = zip(dataset, single, strict=True)
    for ((large, small), labels), (only_large, _) in epoch:
        np.testing.assert_array_equal(large, only_large)
        samples = np.floor(large[:, 0, 0]).astype(int)
        np.testing.assert_array_equal(labels, samples % 3)
        np.testing.assert_array_equal(np.floor(small), np.tile(samples[:, None, None], [1, 3, 2]))
        # No two random numbers are equal, within a size and between the sizes.
        noise = np.concatenate([(x.numpy() - np.floor(x)).ravel() for x in (large, small)])
        assert len(np.unique(noise.round(5))) > 0.95 * noise.size


def test_epochs_and_shares_of_workers_are_those_of_the_whole_batch():
    whole = [views[1].numpy() for views, _ in batches_from_step(both(), 3).take(2)]
    first, second = (
        next(
            iter(batches_from_step(both(input_context=tf.distribute.InputContext(2, index, 2)), 3))
        )
        for index in range(2)
    )
    np.testing.assert_array_equal(np.concatenate([first[0][1], second[0][1]]), whole[0])
    assert not np.array_equal(whole[0], whole[1])


@pytest.mark.parametrize(
    ("transform", "num_views", "message"),
    [
        ([long, short], 2, "a number for each transform.*Received: num_views=2"),
        ([long, short], [2], r"a number for each transform.*Received: num_views=\[2\]"),
        (long, [2], r"a number for each transform.*Received: num_views=\[2\]"),
        ([], [], r"a number for each transform.*Received: num_views=\[\]"),
        ([long, short], [2, 0], "`num_views` must be an integer of at least 1. Received: 0"),
        ([long, crop_flip(4)], [2, 2], "function of a sample and a seed.*Received: Compose"),
    ],
)
def test_bad_transforms(transform, num_views, message):
    with pytest.raises(ValueError, match=message):
        multi_view_batches(source(), transform, batch_size=4, num_views=num_views)


def test_what_takes_one_array_says_so():
    with pytest.raises(ValueError, match="a number for each transform"):
        training_batches(source(), [long, short], batch_size=4)
    with pytest.raises(ValueError, match="one array, and not in several sizes.*tuple of 2"):
        flatten_views(both())
    with pytest.raises(ValueError, match=r"one array: several sizes.*tuple of 2"):
        mix_batches(both(), Mixing("mixup"), num_classes=3)
