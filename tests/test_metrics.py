import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import metrics


def unit_rows(*shape):
    rows = np.random.default_rng(0).normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("views", [None, 1, 2, 3])
def test_alignment(views):
    z = unit_rows(6, 5) if views is None else unit_rows(6, views, 5)
    expected = np.zeros(6) if views in (None, 1) else ((z[:, 0] - z[:, 1]) ** 2).sum(-1)
    np.testing.assert_allclose(metrics.alignment(None, tf.constant(z)), expected, atol=1e-6)


@pytest.mark.parametrize("views", [None, 2])
def test_uniformity_against_the_definition(views):
    z = unit_rows(7, 5) if views is None else unit_rows(7, views, 5)
    first = z if views is None else z[:, 0]
    potentials = [
        np.exp(-2 * ((first[i] - first[j]) ** 2).sum())
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    expected = np.log(np.mean(potentials))
    assert float(metrics.uniformity(None, tf.constant(z))) == pytest.approx(expected, rel=1e-5)


def test_uniformity_of_one_point_and_of_one_sample():
    assert float(metrics.uniformity(None, tf.ones([4, 1]))) == pytest.approx(0, abs=1e-6)
    assert float(metrics.uniformity(None, tf.ones([1, 1]))) == 0


@pytest.mark.parametrize("kind", ["ids", "column", "one-hot", "per view"])
def test_labels_of_every_kind(kind):
    ids = np.array([4, 4, 7, 7, 7, 2, -1, -1])
    z = np.eye(8)[:, :4] + 0.01 * unit_rows(8, 4)
    z[[1, 3, 4, 6, 7]] = z[[0, 2, 0, 2, 2]] + 1e-3
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    one_hot = np.eye(8)[ids] * (ids >= 0)[:, None]
    labels = {
        "ids": ids,
        "column": ids[:, None],
        "one-hot": one_hot,
        "per view": np.stack([one_hot, 0.5 * one_hot], axis=1),
    }[kind]
    labels = tf.constant(labels)
    positives = metrics.positive_fraction(labels, None)
    np.testing.assert_array_equal(positives, [1, 1, 1, 1, 1, 0, 0, 0])
    others = z @ z.T - 9 * np.eye(8)
    expected = (ids[others.argmax(1)] == ids) & (ids >= 0)
    assert 0 < expected.sum() < 8
    actual = metrics.nearest_neighbour_accuracy(labels, tf.constant(z))
    np.testing.assert_array_equal(actual, expected)


def test_large_batches_are_sampled():
    z, ids = unit_rows(700, 3), np.arange(700) % 5
    assert metrics.alignment(ids, tf.constant(z)).shape == (512,)
    assert metrics.nearest_neighbour_accuracy(tf.constant(ids), tf.constant(z)).shape == (512,)
    assert metrics.positive_fraction(tf.constant(ids), tf.constant(z)).shape == (700,)


def encoder():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])


def test_in_fit_with_an_augmentation_layer():
    """The metrics are built before the first step, for views and not for images."""

    def per_view(y_true, y_pred):
        return tf.reduce_sum(y_pred[:, 1] - y_pred[:, 0], axis=-1)

    model = supcon_tf.SupConModel(encoder(), augmentation=keras.layers.GaussianNoise(0.1))
    model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=[*metrics.HEALTH, per_view])
    images, ids = np.random.default_rng(0).random([12, 8, 8, 1]), np.arange(12) // 2
    data = tf.data.Dataset.from_tensor_slices((images, ids)).batch(6)
    logs = model.fit(data, verbose=0).history
    assert {metric.__name__ for metric in metrics.HEALTH} < set(logs)
    assert logs["positive_fraction"] == [1.0]


def test_positives_are_looked_for_on_all_replicas(two_replicas):
    with two_replicas.scope():
        model = supcon_tf.SupConModel(encoder())
        model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=[metrics.positive_fraction])
    views = np.random.default_rng(0).random([8, 2, 8, 8, 1])
    ids = np.array([0, 1, 2, 3, 0, 1, 2, 5])
    data = tf.data.Dataset.from_tensor_slices((views, ids)).batch(8, drop_remainder=True)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert logs["positive_fraction"] == pytest.approx(6 / 8)
