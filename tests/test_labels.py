import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.labels import class_ids


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
def test_every_form_of_labels(labels, expected):
    ids = class_ids(labels)
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
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        class_ids(labels)


def test_rows_that_are_not_one_hot_stop_a_graph():
    compiled = tf.function(class_ids)
    np.testing.assert_array_equal(compiled(tf.constant([[0.0, 1.0]])), [1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="one-hot"):
        compiled(tf.constant([[0.5, 0.5]]))


def test_unknown_number_of_classes():
    compiled = tf.function(class_ids, input_signature=[tf.TensorSpec([None, None], tf.int64)])
    with pytest.raises(ValueError, match="known number of classes"):
        compiled.get_concrete_function()
