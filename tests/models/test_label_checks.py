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
@pytest.mark.parametrize("name", CASES)
def test_compiled_by_xla(name):
    make, loss, labels, match = CASES[name]
    model = make()
    steps = 2 if name == "soft rows" else 1
    model.compile("sgd", loss=loss(), jit_compile=True, steps_per_execution=steps)
    fit_and_evaluate(model, labels, match)


@pytest.mark.slow
@pytest.mark.parametrize("eagerly", [True, False])
def test_not_compiled(eagerly):
    make, loss, labels, match = CASES["ids from 1"]
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


@pytest.mark.slow
def test_every_batch_is_checked():
    model = supcon()
    model.compile("sgd", loss=SupConLoss(), jit_compile=True)
    images = np.random.default_rng(0).normal(size=[16, 2, 4, 4, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be one-hot"):
        model.fit(images, np.concatenate([ROWS, ROWS / 2]), batch_size=8, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 1


@pytest.mark.slow
def test_a_batch_alone():
    model = joint()
    model.compile("sgd", loss=SupConLoss(), jit_compile=True)
    images = np.random.default_rng(0).normal(size=[8, 2, 4, 4, 1])
    assert np.isfinite(model.train_on_batch(images, IDS)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="below `num_classes`=4"):
        model.train_on_batch(images, IDS + 1)
