import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.models.gradient_cache import project_in_micro_batches

BATCH, VIEWS = 16, 2


def make_model(dropout=0.5, micro_batch_size=None, regularizer=None, norm=False):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, strides=2, kernel_regularizer=regularizer),
            keras.layers.BatchNormalization() if norm else keras.layers.ReLU(),
            keras.layers.Dropout(dropout, seed=1),
            keras.layers.Flatten(),
        ]
    )
    head = supcon_tf.projection_head((16, 8))
    return supcon_tf.SupConModel(encoder, head, micro_batch_size=micro_batch_size)


def data():
    rng = np.random.default_rng(0)
    return rng.random([BATCH, VIEWS, 8, 8, 1], dtype="float32"), np.arange(BATCH) % 3


@pytest.mark.slow
def test_gradient_is_that_of_the_full_batch_with_dropout():
    views, ids = data()
    loss = supcon_tf.SupConLoss()
    model = make_model()
    seeds = [v for v in model.encoder.non_trainable_variables if "seed" in v.path]
    assert seeds
    start = [v.numpy() for v in seeds]
    micro_batches = np.split(views, 8)

    # The full batch, with the dropout masks of the micro-batches.
    with tf.GradientTape() as tape:
        projections = tf.concat([model(x, training=True) for x in micro_batches], axis=0)
        value = loss(ids, projections)
    expected = tape.gradient(value, model.trainable_variables)
    end = [v.numpy() for v in seeds]

    for variable, state in zip(seeds, start, strict=True):
        variable.assign(state)
    cached, pull_back = project_in_micro_batches(model, tf.constant(views), BATCH // 8)
    np.testing.assert_allclose(cached, projections, atol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(cached)
        value = loss(ids, cached)
    actual = pull_back(tape.gradient(value, cached))
    for x, y in zip(actual, expected, strict=True):
        assert np.abs(x - y).max() <= 1e-5 * np.abs(y).max()
    # The random state is that after one pass.
    np.testing.assert_array_equal([v.numpy() for v in seeds], end)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_training_equals_that_with_full_batches(policy):
    keras.config.set_dtype_policy(policy)
    views, ids = data()
    weights = []
    for size in (None, 2):
        model = make_model(dropout=0.0, micro_batch_size=size, regularizer="l2")
        optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
        if policy == "mixed_float16":  # a scale at which neither form has to skip a step
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
        model.compile(optimizer, loss=supcon_tf.SupConLoss(), run_eagerly=size is None)
        batches = tf.data.Dataset.from_tensors((views, ids)).repeat(5)
        before = model.get_weights()
        model.fit(batches, verbose=0)
        weights.append(model.get_weights())
        assert max(np.abs(a - b).max() for a, b in zip(before, weights[-1], strict=True)) > 0.01
    tolerance = 1e-5 if policy == "float32" else 0.02
    for full, cached in zip(*weights, strict=True):
        np.testing.assert_allclose(cached, full, atol=tolerance * np.abs(full).max())


def test_moving_statistics_are_updated_once():
    views, _ = data()
    model = make_model(norm=True)
    norm = next(x for x in model.encoder.layers if isinstance(x, keras.layers.BatchNormalization))
    convolved = model.encoder.layers[0](views.reshape(-1, 8, 8, 1)).numpy()
    expected = 0.0
    for micro_batch in np.split(convolved, 2):
        expected = 0.99 * expected + 0.01 * micro_batch.mean((0, 1, 2))
    _, pull_back = project_in_micro_batches(model, tf.constant(views), BATCH // 2)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(4))
    pull_back(tf.zeros([BATCH, VIEWS, 8]))
    np.testing.assert_allclose(norm.moving_mean, expected, rtol=1e-5)


def test_micro_batches_must_divide_the_batch():
    views, ids = data()
    model = make_model(micro_batch_size=5)
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    with pytest.raises(ValueError, match="must divide.*micro_batch_size=5.*16, 2, 8, 8, 1"):
        model.fit(tf.data.Dataset.from_tensors((views, ids)), verbose=0)
    with pytest.raises(ValueError, match="must be an integer of at least 1. Received: 0"):
        make_model(micro_batch_size=0)
