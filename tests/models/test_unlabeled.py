"""Samples without labels, and anchors without positives."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import GeneralizedSupConLoss, SupConLoss, TripletLoss
from supcon_tf.metrics import HEALTH
from supcon_tf.models.unlabeled import warn_of_single_samples, warn_without_positives

RNG = np.random.default_rng(0)
VIEWS = RNG.normal(size=[8, 2, 4]).astype("float32")
UNLABELED = np.full(8, -1)


def encoder():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])


def supcon(loss=SupConLoss, **compiled):
    model = supcon_tf.SupConModel(encoder(), supcon_tf.projection_head((4,)))
    model.compile("sgd", loss=loss(), run_eagerly=True, **compiled)
    return model


def momentum(loss=SupConLoss, num_classes=None):
    model = supcon_tf.MomentumSupConModel(encoder(), queue_size=8, num_classes=num_classes)
    model.compile("sgd", loss=loss(), metrics=HEALTH, run_eagerly=True)
    return model


def joint():
    model = supcon_tf.JointSupConModel(encoder(), 2)
    model.compile("sgd", loss=SupConLoss())
    return model


def as_dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8, drop_remainder=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [supcon, lambda: supcon(metrics=HEALTH), lambda: supcon(TripletLoss), momentum],
    ids=["supcon", "health", "triplets", "momentum"],
)
@pytest.mark.usefixtures("uncompiled")
def test_no_labels_are_class_id_minus_1(make):
    model = make()
    expected = model.evaluate(VIEWS, UNLABELED, verbose=0)
    for data in (VIEWS, as_dataset(VIEWS).map(lambda views: views), as_dataset(VIEWS)):
        np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-6)
    before = model.get_weights()
    of_labels = model.fit(as_dataset(VIEWS, UNLABELED), verbose=0).history
    model.set_weights(before)
    for name, values in model.fit(as_dataset(VIEWS), verbose=0).history.items():
        np.testing.assert_allclose(values, of_labels[name], rtol=1e-6)


@pytest.mark.slow
def test_no_labels_in_a_compiled_step():
    model = supcon()
    model.compile("sgd", loss=SupConLoss(), jit_compile=True)
    expected = model.evaluate(VIEWS, UNLABELED, verbose=0)
    assert model.evaluate(VIEWS, verbose=0) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (joint, "class ids for the classifier.*Received: a batch without labels"),
        (lambda: supcon(GeneralizedSupConLoss), "label distributions for Generalized.*Received"),
        (lambda: momentum(GeneralizedSupConLoss, 2), "label distributions.*Received"),
    ],
    ids=["joint", "generalized", "momentum"],
)
@pytest.mark.parametrize("data", [VIEWS, as_dataset(VIEWS)], ids=["array", "dataset"])
def test_labels_are_needed(make, message, data):
    with pytest.raises(ValueError, match=message):
        make().fit(data, verbose=0)


@pytest.mark.parametrize("of", [lambda *data: data, lambda *data: (as_dataset(*data),)])
@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (SupConLoss, np.arange(8)),
        (SupConLoss, UNLABELED),
        (GeneralizedSupConLoss, np.eye(8)),
        (TripletLoss, np.arange(8)),
    ],
)
@pytest.mark.usefixtures("uncompiled")
def test_no_positives(loss, labels, of):
    with pytest.warns(UserWarning, match=r"No anchor .* has a positive \(0 of 8\)"):
        supcon(loss).fit(*of(VIEWS[:, 0], labels), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "images", "labels"),
    [
        (SupConLoss, VIEWS, np.arange(8)),
        (SupConLoss, VIEWS[:, 0], np.arange(8) // 4),
        (GeneralizedSupConLoss, VIEWS[:, 0], np.eye(8) + np.eye(8)[0]),
        # The first two samples are of different classes, but not the first that are drawn.
        (SupConLoss, VIEWS[:, 0], np.array([1, 2, 0, 0, 0, 0, 0, 0])),
    ],
)
@pytest.mark.usefixtures("uncompiled")
def test_some_positives(loss, images, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Even though the .*run_functions_eagerly", UserWarning)
        supcon(loss).fit(images, labels, batch_size=4, verbose=0)


def test_only_the_first_batch_is_checked():
    """Without `shuffle`, its samples are the first ones."""
    data = SupConLoss(), VIEWS[:, 0], np.array([0, 1, 2, 3, 0, 0, 0, 0])
    with pytest.warns(UserWarning, match=r"No anchor .* \(0 of 4\)"):
        warn_without_positives(*data, batch_size=4, shuffle=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warn_without_positives(*data, batch_size=4, shuffle=True)


def test_batches_of_a_single_sample():
    single = tf.data.Dataset.from_tensor_slices((VIEWS, UNLABELED)).batch(1, drop_remainder=True)
    for data in ((single, None), (VIEWS, 1)):
        with pytest.warns(UserWarning, match="a single sample.*Use larger batches"):
            warn_of_single_samples(*data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for data in ((as_dataset(VIEWS, UNLABELED), None), (VIEWS, None), (VIEWS, 2)):
            warn_of_single_samples(*data)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_only_a_model_without_a_queue_warns_of_a_single_sample():
    with pytest.warns(UserWarning, match="a single sample") as caught:
        supcon().fit(VIEWS[:2], UNLABELED[:2], batch_size=1, verbose=0)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Every batch holds a single sample", UserWarning)
        momentum().fit(VIEWS[:2], UNLABELED[:2], batch_size=1, verbose=0)


def test_number_of_views_without_an_augmenter():
    for make in (supcon_tf.SupConModel, supcon_tf.MomentumSupConModel):
        with pytest.raises(ValueError, match="`num_views`.*num_views=5, augmenter=None"):
            make(encoder(), num_views=5)
