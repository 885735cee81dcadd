import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.labels import (
    are_class_ids,
    to_class_ids,
    to_distributions,
    to_dominant_class_ids,
    to_soft_labels,
)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([3, -1, -5, 2**40 + 1]), [3, -1, -5, 2**40 + 1]),
        (np.array([[3], [4]], np.int32), [3, 4]),
        (np.array([200, 3], np.uint8), [200, 3]),
        (np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]), [1, 2, -1]),
        (np.array([[0.0, 1.0], [0.0, 0.0]]), [1, -1]),
        (np.array([[True, False], [False, False]]), [0, -1]),
        (np.zeros([0], np.int64), []),
    ],
)
def test_class_ids(labels, expected):
    for convert in (to_class_ids, to_dominant_class_ids):
        ids = convert(labels)
        assert ids.dtype == tf.int64
        np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1.0, 2.0]), "must be integers.*dtype=float64"),
        (np.array([[1.0], [2.0]]), "must be integers.*dtype=float64"),
        (np.array(["cat", "dog"]), "must be integers.*dtype=string"),
        (np.array([["a", "b"]]), "must be numbers.*dtype=string"),
        (np.array(3), r"shape=\(\)"),
        (np.zeros([2, 3, 4]), r"shape=\(2, 3, 4\)"),
        (np.array([[0.5, 0.5]]), "GeneralizedSupConLoss"),
        (np.array([[1, 1, 0]]), "one-hot"),
        (np.array([[-1, 0]]), "one-hot"),
        (np.array([[np.nan, 1.0]]), "one-hot"),
    ],
)
def test_bad_class_ids(labels, message):
    with pytest.raises(ValueError, match=message):
        to_class_ids(labels)


@pytest.mark.parametrize("ids", [[0, 3], [0, -2]])
def test_class_ids_out_of_range(ids):
    np.testing.assert_array_equal(to_class_ids([0, 2, -1], num_classes=3), [0, 2, -1])
    with pytest.raises(ValueError, match="at least -1 .* below `num_classes`=3.*Received"):
        to_class_ids(ids, num_classes=3)


def test_rows_that_are_not_one_hot_stop_a_graph():
    compiled = tf.function(to_class_ids)
    np.testing.assert_array_equal(compiled(tf.constant([[0.0, 1.0]])), [1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="one-hot"):
        compiled(tf.constant([[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("labels", "valid"),
    [
        ([3, 0, -1], True),
        ([[3], [0], [-1]], True),
        ([[0, 1], [0, 0]], True),
        ([[0.0, 1.0], [1.0, 0.0]], True),
        ([[0, 2], [1, 0]], False),
        ([[1, 1], [1, 0]], False),
        ([[0.5, 0.5], [1.0, 0.0]], False),
    ],
)
def test_valid_class_ids_inside_xla(labels, valid):
    assert bool(are_class_ids(tf.constant(labels))) is valid


def test_unknown_number_of_classes():
    compiled = tf.function(to_class_ids, input_signature=[tf.TensorSpec([None, None], tf.int64)])
    with pytest.raises(ValueError, match="known number of classes"):
        compiled.get_concrete_function()


def test_dominant_class_ids_of_distributions():
    rows = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 0.0], [0.6, 0.4, 0.0]])
    np.testing.assert_array_equal(to_dominant_class_ids(rows), [1, -1, 0])
    views = np.stack([rows, np.roll(0.1 * rows, 1, axis=1)], axis=1)
    np.testing.assert_array_equal(to_dominant_class_ids(views), [1, -1, 0])


@pytest.mark.parametrize(("dtype", "expected"), [("int32", "float32"), ("float64", "float64")])
@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3)])
def test_distributions(dtype, expected, shape):
    labels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    distributions = to_distributions(labels)
    assert distributions.dtype == expected
    np.testing.assert_array_equal(distributions, labels)


def test_soft_labels():
    expected = np.array([[0.9, 0.05, 0.05], [0.0, 0.0, 0.0], [0.05, 0.05, 0.9]])
    for ids in ([0, -1, 2], [[0], [-1], [2]]):
        np.testing.assert_allclose(to_soft_labels(ids, 3, label_smoothing=0.15), expected)
    rows = np.array([[2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(to_soft_labels(rows, 2), rows)
    np.testing.assert_allclose(to_soft_labels(rows, 2, 0.5), [[1.5, 0.5], [0, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], 1), "`num_classes` must be an integer of at least 2. Received: 1"),
        (([0, 1], 2, 1.0), "`label_smoothing` must be at least 0 and below 1. Received: 1.0"),
        (([0, 2], 2), "below `num_classes`=2"),
        ((np.ones([2, 3]), 2), r"\[batch, num_classes\].*shape=\(2, 3\), num_classes=2"),
        ((np.ones([2, 3, 2]), 2), r"\[batch, num_classes\].*shape=\(2, 3, 2\)"),
    ],
)
def test_bad_soft_labels(arguments, message):
    with pytest.raises(ValueError, match=message):
        to_soft_labels(*arguments)
