"""The loss is NaN if images or weights are not finite, even if the step computes finite numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf


def encoder():
    # On CPU a graph without XLA fuses both layers, and their ReLU converts NaN to 0.
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu")])


def head():
    return keras.Sequential([keras.layers.Dense(4)])


def teacher():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])


def supcon():
    return supcon_tf.SupConModel(encoder(), head()), supcon_tf.SupConLoss()


def joint():
    return supcon_tf.JointSupConModel(encoder(), 2, head()), supcon_tf.SupConLoss()


def momentum():
    model = supcon_tf.MomentumSupConModel(
        encoder(),
        head(),
        queue_size=16,
        num_classes=2,
        distillation=supcon_tf.Distillation(teacher()),
    )
    return model, supcon_tf.GeneralizedSupConLoss()


def cross_entropy(kind=supcon_tf.CrossEntropyModel):
    return kind(encoder(), 2), keras.losses.CategoricalCrossentropy(from_logits=True)


MODELS = {
    "supcon": supcon,
    "joint": joint,
    "momentum": momentum,
    "cross entropy": cross_entropy,
    "averaged": lambda: cross_entropy(supcon_tf.AveragedCrossEntropyModel),
    "linear": lambda: cross_entropy(supcon_tf.LinearClassifier),
}


def make(name, **compiled):
    model, loss = MODELS[name]()
    model.compile(keras.optimizers.SGD(0.1), loss=loss, **compiled)
    rng = np.random.default_rng(0)
    is_classifier = isinstance(model, supcon_tf.CrossEntropyModel)
    images = rng.normal(size=[8, 6] if is_classifier else [8, 2, 6]).astype("float32")
    return model, images, np.eye(2, dtype="float32")[np.arange(8) % 2]


def batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(8, drop_remainder=True)


def loss_of(logs):
    return np.ravel(logs["loss"])[-1]


def assert_detected(model, images, labels):
    good, bad = (
        batches(images, labels),
        batches(np.where(images == images[3], np.nan, images), labels),
    )
    infinite = batches(np.where(images == images[3], np.inf, images), labels)
    assert np.isfinite(loss_of(model.fit(good, verbose=0).history))
    assert np.isfinite(loss_of(model.evaluate(good, verbose=0, return_dict=True)))
    for data in (bad, infinite):
        assert np.isnan(loss_of(model.evaluate(data, verbose=0, return_dict=True)))
    before = model.get_weights()
    assert np.isnan(loss_of(model.fit(bad, verbose=0).history))
    model.set_weights(before)
    assert np.isfinite(loss_of(model.fit(good, verbose=0).history))
    kernel = model.encoder.weights[0]
    kernel.assign(np.where(np.arange(8) == 2, np.nan, kernel))
    assert np.isnan(loss_of(model.evaluate(good, verbose=0, return_dict=True)))
    assert np.isnan(loss_of(model.fit(good, verbose=0).history))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_in_a_graph(name):
    assert_detected(*make(name))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["supcon", "averaged"])
def test_eagerly(name):
    assert_detected(*make(name, run_eagerly=True))


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize("name", ["supcon", "averaged"])
def test_compiled_by_xla(name):
    assert_detected(*make(name, jit_compile=True))


@pytest.mark.slow
def test_two_replicas(two_replicas):
    with two_replicas.scope():
        model, images, labels = make("averaged")
    assert_detected(model, images, labels)


@pytest.mark.slow
def test_on_single_batches_and_terminate_on_nan_stops():
    model, images, labels = make("supcon")
    assert np.isfinite(model.train_on_batch(images, labels))
    before = model.get_weights()
    images[0] = np.nan
    assert np.isnan(model.test_on_batch(images, labels))
    assert np.isnan(model.train_on_batch(images, labels))
    model.set_weights(before)
    callbacks = [keras.callbacks.TerminateOnNaN()]
    history = model.fit(images, labels, epochs=3, verbose=0, callbacks=callbacks)
    assert len(history.epoch) == 1


@pytest.mark.slow
@pytest.mark.gpu
def test_updates_that_loss_scaling_skips_are_finite():
    keras.config.set_dtype_policy("mixed_float16")
    model, images, labels = make("supcon")
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=1e30)
    model.compile(optimizer, loss=supcon_tf.SupConLoss())
    before = model.get_weights()
    assert np.isfinite(loss_of(model.fit(images, labels, verbose=0).history))
    for actual, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow
def test_the_loss_of_a_custom_training_step():
    class Own(supcon_tf.SupConModel):
        def train_step(self, data):
            return {"loss": tf.reduce_sum(super().train_step(data)["loss"]) + 1, "other": 2.0}

    model = Own(encoder(), head())
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    images = np.random.default_rng(0).normal(size=[8, 2, 6])
    ids = np.arange(8) % 2
    expected = model.evaluate(images, ids, verbose=0) + 1
    logs = model.fit(images, ids, verbose=0).history
    assert logs["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert logs["other"] == [2.0]
    logs = model.fit(np.full_like(images, np.nan), ids, verbose=0).history
    assert np.isnan(logs["loss"]) and logs["other"] == [2.0]
