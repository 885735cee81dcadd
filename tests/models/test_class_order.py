import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

IDS = np.repeat([0, 1, 2], 8)


def make_model(loss):
    encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model = supcon_tf.CrossEntropyModel(encoder, 3)
    model.compile("sgd", loss=loss(from_logits=True), run_eagerly=True)
    return model


def fit(labels, batch_size=4, model=None):
    dataset = tf.data.Dataset.from_tensor_slices((np.ones([24, 2]), labels)).batch(batch_size)
    losses = keras.losses
    sparse = labels.ndim == 1
    loss = losses.SparseCategoricalCrossentropy if sparse else losses.CategoricalCrossentropy
    model = model or make_model(loss)
    model.fit(dataset, verbose=0)
    return model


@pytest.mark.parametrize("labels", [IDS, np.eye(3)[IDS]], ids=["ids", "one-hot"])
def test_batches_of_one_class_each_warn_once(labels):
    with pytest.warns(UserWarning, match="Each of the first 3 batches holds a single class"):
        model = fit(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(labels, model=model)


@pytest.mark.parametrize(
    ("labels", "batch_size"),
    [
        (np.random.default_rng(0).permutation(IDS), 4),
        (IDS, 12),
        (IDS, 1),
        (np.eye(3)[IDS] * 0.5 + np.eye(3)[(IDS + 1) % 3] * 0.5, 4),
    ],
    ids=["shuffled", "few batches", "single samples", "distributions"],
)
def test_other_batches_do_not_warn(labels, batch_size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(labels, batch_size)
