import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import crop_flip
from supcon_tf.data import TensorSource, batches_from_step, multi_view_batches, training_batches

AGES = np.arange(12.0, dtype=np.float32)
TOKENS = np.arange(60).reshape(12, 5)
LABELS = np.arange(12) % 3


def source():
    return TensorSource({"age": AGES, "tokens": TOKENS}, LABELS, ["a", "b", "c"])


def jitter(sample, seed):
    """Adds noise below 0.5, which rounding removes."""
    noise = tf.random.stateless_uniform([], seed, 0, 0.49)
    return {"age": sample["age"] + noise, "tokens": sample["tokens"][:3]}


def test_views_have_the_structure_of_the_transform():
    dataset = multi_view_batches(source(), jitter, batch_size=4, num_views=3)
    assert len(dataset) == 3
    views, labels = dataset.element_spec
    assert (views["age"].shape, views["tokens"].shape) == ((4, 3), (4, 3, 3))
    assert (views["tokens"].dtype, labels.shape) == (tf.int64, (4,))
    seen = []
    for views, labels in dataset:
        samples = np.floor(views["age"]).astype(int)
        seen += samples[:, 0].tolist()
        np.testing.assert_array_equal(samples, np.tile(samples[:, :1], 3))
        np.testing.assert_array_equal(views["tokens"], TOKENS[samples, :3])
        np.testing.assert_array_equal(labels, LABELS[samples[:, 0]])
        assert len(np.unique(views["age"])) == 12
    assert sorted(seen) == list(range(12))


def test_views_are_a_function_of_seed_epoch_and_sample():
    def ages(seed, first, steps, **arguments):
        dataset = multi_view_batches(source(), jitter, batch_size=4, seed=seed, **arguments)
        batches = batches_from_step(dataset, first).take(steps)
        return np.concatenate([views["age"] for views, _ in batches])

    whole = ages(0, 0, 6)
    np.testing.assert_array_equal(ages(0, 4, 2), whole[16:])
    assert not np.array_equal(ages(1, 0, 6), whole)
    assert len(np.unique(whole)) == whole.size  # The second epoch has other views.
    parts = [ages(0, 0, 6, input_context=tf.distribute.InputContext(2, k, 2)) for k in range(2)]
    np.testing.assert_array_equal(
        np.concatenate([x.reshape(6, 2, 2) for x in parts], 1).reshape(24, 2), whole
    )


def test_single_views_of_plain_arrays():
    signals = np.random.default_rng(0).normal(size=[6, 7, 2])
    plain = TensorSource(signals, LABELS[:6], ["a", "b", "c"])
    ((views, labels),) = training_batches(plain, lambda x, seed: 2 * x, batch_size=6)
    assert sorted(views[:, 0, 0].numpy()) == sorted(2 * signals[:, 0, 0])
    assert sorted(labels.numpy()) == [0, 0, 1, 1, 2, 2]


def test_take():
    part = source().take([3, 7])
    np.testing.assert_array_equal(part.samples["tokens"], TOKENS[[3, 7]])
    assert (part.labels.tolist(), part.class_names) == ([0, 1], ("a", "b", "c"))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"length of `labels`.*lengths \['12', '3'\], 12 labels"):
        TensorSource((AGES, AGES[:3]), LABELS, ["a", "b", "c"])
    with pytest.raises(ValueError, match="indices into `class_names`"):
        TensorSource(AGES, LABELS, ["a", "b"])
    with pytest.raises(ValueError, match="function of a sample and a seed.*Received: .*Crop"):
        multi_view_batches(source(), crop_flip(4), batch_size=4)
    with pytest.raises(ValueError, match="function of a sample and a seed.*Received: 'jitter'"):
        multi_view_batches(source(), "jitter", batch_size=4)
