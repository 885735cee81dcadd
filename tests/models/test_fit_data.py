"""Data that `fit` and `evaluate` refuse with an error that names the cause."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

VIEWS = np.zeros([4, 2, 6, 6, 1], "float32")
IMAGES = VIEWS[:, 0]
IDS = np.array([0, 0, 1, 1])


def encoder():
    return keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten()])


def supcon():
    model = supcon_tf.SupConModel(encoder())
    model.compile("sgd", supcon_tf.SupConLoss())
    return model


def classifier():
    model = supcon_tf.LinearClassifier(encoder(), 2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def dataset(elements):
    return tf.data.Dataset.from_tensor_slices(elements)


@pytest.mark.parametrize("make", [supcon, classifier])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES, IDS.tolist()), r"`y` must be an array .*`np.array\(labels\)`.*Received: a list"),
        ((IMAGES, tuple(IDS)), "Received: a tuple"),
        ((IMAGES, np.eye(2)[IDS].tolist()), "Received: a list"),
        ((IMAGES, np.array(["a", "a", "b", "b"])), "`np.unique.*Received: an array of dtype <U1"),
        ((IMAGES, np.array(["a", "a", "b", "b"], object)), "an array of dtype object"),
        ((IMAGES, tf.constant(["a", "a", "b", "b"])), "an array of dtype .*string"),
        ((), "`x` must be arrays or batches.*Received: None"),
        ((supcon_tf.data.load_digits("test"),), "multi_view_batches.*Received: ArrayImages"),
        ((dataset((IMAGES, IDS)),), r"must be batches: use `dataset.batch.*\(\(6, 6, 1\), \(\)\)"),
    ],
)
def test_data_of_the_wrong_kind(make, arguments, message):
    model = make()
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            method(*arguments, verbose=0)


def test_labels_of_validation_data():
    data = (VIEWS, IDS.tolist())
    with pytest.raises(ValueError, match=r"`validation_data\[1\]` must be an array"):
        supcon().fit(VIEWS, IDS, validation_data=data)


@pytest.mark.parametrize(
    "arguments", [(IMAGES, IMAGES), (dataset((IMAGES, IMAGES, IDS)).batch(2),)]
)
def test_a_second_view_in_the_place_of_labels(arguments):
    model = supcon()
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="Labels must not be images.*`tf.stack"):
            method(*arguments, verbose=0)


def test_dicts_of_a_data_set():
    data = dataset({"image": IMAGES, "label": IDS}).batch(2)
    with pytest.raises(ValueError, match=r"`\(images, labels\)`.*`as_supervised=True`"):
        supcon().fit(data)
