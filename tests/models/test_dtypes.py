"""Every model makes a step under every float type and dtype policy."""

import keras
import numpy as np
import pytest

import supcon_tf
from supcon_tf import GeneralizedSupConLoss, SupConLoss
from supcon_tf.models.ema import update_ema

IDS = np.arange(8) % 2
ROWS = np.eye(2)[IDS]


def encoder(regularizer=None):
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, kernel_regularizer=regularizer),
            keras.layers.BatchNormalization(),
        ]
    )


def head():
    return supcon_tf.projection_head((4,))


def teacher():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def momentum():
    model = supcon_tf.MomentumSupConModel(
        encoder("l2"),
        head(),
        queue_size=8,
        num_classes=2,
        distillation=supcon_tf.Distillation(teacher()),
        micro_batch_size=4,
    )
    return model, GeneralizedSupConLoss(), ROWS


def joint():
    return supcon_tf.JointSupConModel(encoder(), 2, head()), SupConLoss(), IDS


def averaged():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    return supcon_tf.AveragedCrossEntropyModel(encoder(), 2), loss, ROWS


def linear():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return supcon_tf.LinearClassifier(encoder(), 2, batch_statistics=True), loss, IDS


@pytest.fixture
def floatx():
    yield keras.config.set_floatx
    keras.config.set_floatx("float32")


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("floats", "policy"),
    [
        ("float64", "float64"),
        ("float16", "float16"),
        ("float32", "bfloat16"),
        ("float32", "float16"),
        ("float32", "mixed_float16"),
    ],
)
@pytest.mark.parametrize("make", [momentum, joint, averaged, linear])
def test_fit_and_evaluate(make, floats, policy, floatx, request):
    if make is momentum:  # XLA compiles the loss of the joint model under every type
        request.getfixturevalue("uncompiled")
    floatx(floats)
    keras.config.set_dtype_policy(policy)
    model, loss, labels = make()
    model.compile("sgd", loss=loss, run_eagerly=True)
    images = np.random.default_rng(0).normal(size=[8, 2, 4])
    if isinstance(model, supcon_tf.CrossEntropyModel):
        images = images[:, 0]
    before = model.get_weights()
    history = model.fit(images, labels, batch_size=8, verbose=0, sample_weight=np.ones(8)).history
    assert all(np.isfinite(values).all() for values in history.values())
    for use in (model.train_on_batch, model.test_on_batch):
        assert np.isfinite(use(images, labels)).all()
    assert any((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.gpu
def test_an_average_in_half_precision():
    weight, copy = (keras.Variable(np.full(3, value), dtype="bfloat16") for value in (100.0, 1.0))
    update_ema([(weight, copy)], momentum=0.999)
    np.testing.assert_allclose(copy.numpy().astype("float32"), 1.099, rtol=2**-8)
