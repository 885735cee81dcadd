import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import metrics


def unit_rows(*shape):
    rows = np.random.default_rng(0).normal(size=shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.gpu
@pytest.mark.parametrize("views", [None, 1, 2, 3])
def test_alignment(views):
    z = unit_rows(6, 5) if views is None else unit_rows(6, views, 5)
    expected = np.zeros(6) if views in (None, 1) else ((z[:, 0] - z[:, 1]) ** 2).sum(-1)
    np.testing.assert_allclose(metrics.alignment(None, tf.constant(z)), expected, atol=1e-6)


@pytest.mark.parametrize("views", [None, 2])
def test_uniformity_equals_the_definition(views):
    z = unit_rows(7, 5) if views is None else unit_rows(7, views, 5)
    first = z if views is None else z[:, 0]
    potentials = [
        np.exp(-2 * ((first[i] - first[j]) ** 2).sum())
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    expected = np.log(np.mean(potentials))
    np.testing.assert_allclose(metrics.uniformity(None, tf.constant(z)), [expected] * 7, rtol=1e-5)


def test_uniformity_of_one_point_and_of_one_sample():
    np.testing.assert_allclose(metrics.uniformity(None, tf.ones([4, 1])), np.zeros(4), atol=1e-6)
    np.testing.assert_array_equal(metrics.uniformity(None, tf.ones([1, 1])), [0])


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["ids", "column", "one-hot", "bool", "per view", "bool per view"])
def test_labels_of_every_form(kind):
    ids = np.array([4, 4, 7, 7, 7, 2, -1, -1])
    z = np.eye(8)[:, :4] + 0.01 * unit_rows(8, 4)
    z[[1, 3, 4, 6, 7]] = z[[0, 2, 0, 2, 2]] + 1e-3
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    one_hot = np.eye(8)[ids] * (ids >= 0)[:, None]
    labels = {
        "ids": ids,
        "column": ids[:, None],
        "one-hot": one_hot,
        "bool": one_hot > 0,
        "bool per view": np.stack([one_hot > 0, one_hot > 0], axis=1),
        "per view": np.stack([one_hot, 0.5 * one_hot], axis=1),
    }[kind]
    labels = tf.constant(labels)
    positives = metrics.positive_fraction(labels, None)
    np.testing.assert_array_equal(positives, [1, 1, 1, 1, 1, 0, 0, 0])
    others = z @ z.T - 9 * np.eye(8)
    expected = (ids[others.argmax(1)] == ids) & (ids >= 0)
    assert 0 < expected.sum() < 8
    actual = metrics.nearest_neighbor_accuracy(labels, tf.constant(z))
    np.testing.assert_array_equal(actual, expected)


def test_large_batches_use_their_first_512_samples():
    z, ids = unit_rows(700, 3), np.arange(700) % 5
    similarities = z @ z[:512].T
    similarities[np.arange(512), np.arange(512)] = -9
    expected = ids[similarities.argmax(1)] == ids
    actual = metrics.nearest_neighbor_accuracy(tf.constant(ids), tf.constant(z))
    np.testing.assert_array_equal(actual, expected)
    potential = np.exp(-2 * (2 - 2 * z[:512] @ z[:512].T))[~np.eye(512, dtype=bool)]
    uniformity = metrics.uniformity(None, tf.constant(z))
    np.testing.assert_allclose(uniformity, np.full(700, np.log(potential.mean())), rtol=1e-5)
    assert metrics.alignment(ids, tf.constant(z)).shape == (700,)
    assert metrics.positive_fraction(tf.constant(ids), tf.constant(z)).shape == (700,)


@pytest.mark.slow
def test_compiled_metrics_have_the_same_values_in_linear_memory():
    def compute(ids, z):
        return [metric(ids, z) for metric in metrics.HEALTH]

    compiled = tf.function(compute, jit_compile=True)
    rng = np.random.default_rng(0)
    ids, z = tf.constant(rng.integers(-1, 5, 600)), tf.constant(unit_rows(600, 2, 3), tf.float32)
    for actual, expected in zip(compiled(ids, z), compute(ids, z), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)

    def largest_array(samples):
        specs = tf.TensorSpec([samples], tf.int64), tf.TensorSpec([samples, 2, 3])
        program = compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
        shapes = re.findall(r"\w\d*\[([\d,]+)\]", program)
        return max(math.prod(map(int, shape.split(","))) for shape in shapes)

    assert largest_array(4096) == 2 * largest_array(2048)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [None, False, True])
def test_nonfinite_projections_give_nan(compiled):
    z = tf.constant(np.full([4, 2, 3], np.nan), tf.float32)
    ids = tf.constant([0, 0, 1, 1])
    for metric in metrics.HEALTH[:3]:
        function = metric if compiled is None else tf.function(metric, jit_compile=compiled)
        assert np.isnan(function(ids, z)).all()


@pytest.mark.gpu
@pytest.mark.parametrize("samples", [0, 1])
def test_batches_without_other_samples(samples):
    """A replica can get no sample of the last batch of an evaluation."""
    z, ids = tf.ones([samples, 2, 3]), tf.zeros([samples], tf.int64)
    for metric in metrics.HEALTH:
        np.testing.assert_array_equal(metric(ids, z), np.zeros(samples))


def encoder():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])


@pytest.mark.slow
@pytest.mark.gpu
def test_in_fit_with_an_augmentation_layer():
    """Metrics are built before the first step, from the shapes of views instead of images."""

    def per_view(y_true, y_pred):
        return tf.reduce_sum(y_pred[:, 1] - y_pred[:, 0], axis=-1)

    model = supcon_tf.SupConModel(encoder(), augmenter=keras.layers.GaussianNoise(0.1))
    model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=[*metrics.HEALTH, per_view])
    images, ids = np.random.default_rng(0).random([12, 8, 8, 1]), np.arange(12) // 2
    data = tf.data.Dataset.from_tensor_slices((images, ids)).batch(6)
    logs = model.fit(data, verbose=0).history
    assert {metric.__name__ for metric in metrics.HEALTH} < set(logs)
    assert logs["positive_fraction"] == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sample_weights_apply(jit_compile):
    model = supcon_tf.SupConModel(encoder())
    model.compile(
        "sgd",
        loss=supcon_tf.SupConLoss(),
        weighted_metrics=metrics.HEALTH,
        jit_compile=jit_compile,
    )
    views, ids = unit_rows(8, 2, 8, 8, 1), np.array([0, 1, 2, 3, 0, 1, 2, 5])
    weights = np.array([1.0, 0, 0, 2, 0, 0, 0, 1])
    logs = model.evaluate(views, ids, sample_weight=weights, verbose=0, return_dict=True)
    assert logs["positive_fraction"] == pytest.approx(1 / 4)
    z = model(views).numpy()
    distances = ((z[:, 0] - z[:, 1]) ** 2).sum(-1)
    assert logs["alignment"] == pytest.approx((distances * weights).sum() / 4, rel=1e-5)
    uniformity = float(metrics.uniformity(None, z)[0])
    assert logs["uniformity"] == pytest.approx(uniformity, rel=1e-5)


@pytest.mark.slow
def test_positive_fraction_on_two_replicas(two_replicas):
    with two_replicas.scope():
        model = supcon_tf.SupConModel(encoder())
        model.compile("sgd", loss=supcon_tf.SupConLoss(), metrics=[metrics.positive_fraction])
    views = np.random.default_rng(0).random([8, 2, 8, 8, 1])
    ids = np.array([0, 1, 2, 3, 0, 1, 2, 5])
    data = tf.data.Dataset.from_tensor_slices((views, ids)).batch(8, drop_remainder=True)
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert logs["positive_fraction"] == pytest.approx(6 / 8)
