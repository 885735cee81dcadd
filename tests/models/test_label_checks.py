"""Invalid labels stop a step before it writes anything, compiled or not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import GeneralizedSupConLoss, SupConLoss

ERRORS = (ValueError, tf.errors.InvalidArgumentError)
IDS = np.arange(8) % 4
ROWS = np.eye(4, dtype="float32")[IDS]


def encoder():
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])


def supcon(**options):
    return supcon_tf.SupConModel(encoder(), keras.layers.Dense(3), **options)


def mixing():
    return supcon(mixing=supcon_tf.MixingLayer("mixup", num_classes=4))


def joint():
    return supcon_tf.JointSupConModel(encoder(), 4, keras.layers.Dense(3))


def momentum():
    return supcon_tf.MomentumSupConModel(encoder(), keras.layers.Dense(3), queue_size=8)


CASES = {
    "soft rows": (supcon, SupConLoss, ROWS / 2, "must be one-hot"),
    "soft rows with a queue": (momentum, SupConLoss, ROWS / 2, "must be one-hot"),
    "negative": (supcon, GeneralizedSupConLoss, -ROWS, "finite and not negative"),
    "NaN of each view": (
        supcon,
        GeneralizedSupConLoss,
        np.repeat(ROWS[:, None], 2, axis=1) * np.nan,
        "finite and not negative",
    ),
    "ids from 1": (joint, SupConLoss, IDS + 1, "below `num_classes`=4"),
    "ids of mixed images": (mixing, GeneralizedSupConLoss, IDS - 2, "below `num_classes`=4"),
}


def fit_and_evaluate(model, labels, match):
    images = np.random.default_rng(0).normal(size=[8, 2, 4, 4, 1])
    before = model.get_weights()
    data = tf.data.Dataset.from_tensors((images, labels)).repeat(2)
    for use in (model.fit, model.evaluate):
        with pytest.raises(ERRORS, match=match):
            use(data, verbose=0)
    for actual, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "negative"])
def test_compiled_by_xla(name):
    make, loss, labels, match = CASES[name]
    model = make()
    steps = 2 if name == "soft rows" else 1
    model.compile("sgd", loss=loss(), jit_compile=True, steps_per_execution=steps)
    fit_and_evaluate(model, labels, match)
    images = np.random.default_rng(0).normal(size=[16, 2, 4, 4, 1])
    if name == "soft rows":  # every batch is checked
        data = tf.data.Dataset.from_tensor_slices((images, np.concatenate([ROWS, labels])))
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            model.fit(data.batch(8, drop_remainder=True), verbose=0)
        assert int(model.optimizer.iterations) == 1
    if name == "ids from 1":  # a batch alone is too
        assert np.isfinite(model.train_on_batch(images[:8], IDS)).all()
        with pytest.raises(tf.errors.InvalidArgumentError, match=match):
            model.train_on_batch(images[:8], labels)
        assert int(model.optimizer.iterations) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "eagerly"), [("negative", True), ("ids from 1", False)])
def test_not_compiled(name, eagerly):
    make, loss, labels, match = CASES[name]
    model = make()
    model.compile("sgd", loss=loss(), run_eagerly=eagerly)
    fit_and_evaluate(model, labels, match)


@pytest.mark.slow
def test_two_replicas(two_replicas):
    make, loss, labels, match = CASES["ids from 1"]
    with two_replicas.scope():
        model = make()
        model.compile("sgd", loss=loss())
    fit_and_evaluate(model, labels, match)
