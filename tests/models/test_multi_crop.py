"""Views of several sizes: a tuple with an array of views for each size."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf import (
    CrossBatchSupConModel,
    JointSupConModel,
    MomentumSupConModel,
    SupConLoss,
    SupConModel,
)

RNG = np.random.default_rng(0)
# Signals of 6 and of 3 steps with two channels.
LARGE = RNG.normal(size=[8, 2, 6, 2]).astype("float32")
SMALL = RNG.normal(size=[8, 3, 3, 2]).astype("float32")
IDS = np.arange(8) % 3
WEIGHTS = np.linspace(0, 2, 8, dtype="float32")
TAU = 0.5
MODELS = {
    "supcon": SupConModel,
    "micro-batches": lambda *args: SupConModel(*args, micro_batch_size=4),
    "joint": lambda encoder, head: JointSupConModel(encoder, 3, head, stop_gradient=False),
    "cross-batch": lambda *args: CrossBatchSupConModel(*args, memory_size=64),
}


def small_encoder(norm=False, length=None):
    inputs = keras.Input([length, 2])
    x = layers.Dense(4, activation="tanh")(inputs)
    x = layers.BatchNormalization(momentum=0.5)(x) if norm else x
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(x))


def small_model(name="supcon", **arguments):
    keras.utils.set_random_seed(0)
    return MODELS[name](small_encoder(**arguments), supcon_tf.projection_head((3,)))


def compiled(model, **arguments):
    model.compile(keras.optimizers.SGD(0.1), loss=SupConLoss(TAU), **arguments)
    return model


def batches(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(8, drop_remainder=True)


def naive_projections(model, views):
    kernel, bias = (weight.numpy().astype(float) for weight in model.encoder.weights)
    head = model.projection_head.get_weights()[0].astype(float)
    rows = np.tanh(views.astype(float) @ kernel + bias).mean(axis=2) @ head
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def naive_loss(projections, ids):
    """The loss of SupCon with the sum outside, in float64, row by row."""
    z, ids = projections.reshape(-1, 3), np.repeat(ids, projections.shape[1])
    losses = []
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        s = z @ z[i] / TAU
        log_p = s - np.log(np.exp(s[others]).sum())
        losses.append(-log_p[others & (ids == ids[i])].mean())
    return np.mean(losses)


def test_projections_and_loss_of_two_sizes():
    model = compiled(small_model(), run_eagerly=True)
    expected = np.concatenate([naive_projections(model, x) for x in (LARGE, SMALL)], axis=1)
    np.testing.assert_allclose(model((LARGE, SMALL)), expected, atol=1e-6)
    logs = model.train_on_batch((LARGE, SMALL), IDS, return_dict=True)
    assert logs["loss"] == pytest.approx(naive_loss(expected, IDS), rel=1e-5)
    encoded = model.encode((LARGE, SMALL)).numpy()
    np.testing.assert_allclose(encoded[:, 3], model.encode(SMALL[:, 1]), atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"supcon"}))
def test_two_arrays_of_one_size_train_as_one_array(name):
    histories, weights = [], []
    for views in ((LARGE, LARGE[:, :1] + 1), np.concatenate([LARGE, LARGE[:, :1] + 1], axis=1)):
        model = compiled(small_model(name), metrics=[supcon_tf.metrics.alignment])
        history = model.fit(
            batches(views, IDS, WEIGHTS), validation_data=(views, IDS), epochs=2, verbose=0
        ).history
        histories.append({**history, "predicted": model.predict(views, verbose=0)})
        weights.append(model.get_weights())
    assert histories[0].keys() == histories[1].keys()
    for key, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][key], rtol=1e-5, atol=1e-5)
    for actual, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_batch_normalization_sees_each_size_separately():
    model = small_model(norm=True)
    dense, norm = (model.encoder.layers[index] for index in (1, 2))
    model((LARGE, SMALL), training=True)
    means = [dense(x).numpy().reshape(-1, 4).mean(axis=0) for x in (LARGE, SMALL)]
    np.testing.assert_allclose(norm.moving_mean, 0.25 * means[0] + 0.5 * means[1], atol=1e-6)


def test_arrays_train_without_labels():
    model = compiled(small_model(), run_eagerly=True)
    expected = np.concatenate([naive_projections(model, x) for x in (LARGE, SMALL)], axis=1)
    (loss,) = model.fit(batches((LARGE, SMALL)).map(lambda x: (x,)), verbose=0).history["loss"]
    assert loss == pytest.approx(naive_loss(expected, np.arange(8)), rel=1e-5)


@pytest.mark.slow
def test_two_replicas_train_as_one_that_xla_compiles(two_replicas):
    weights = []
    for replicas in (2, 1):
        with two_replicas.scope() if replicas == 2 else contextlib.nullcontext():
            model = compiled(small_model(), jit_compile=replicas == 1)
        model.fit(batches((LARGE, SMALL), IDS, WEIGHTS), epochs=3, verbose=0)
        weights.append(model.get_weights())
    for actual, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("views", "length", "message"),
    [
        ((LARGE, SMALL), 6, r"accept all sizes.*\(8, 2, 6, 2\) and \(8, 3, 3, 2\).*\(None, 6, 2\)"),
        ((LARGE, SMALL[:, 0]), None, "Views of several sizes must be one array"),
        ((LARGE[:, 0], SMALL[:, 0]), None, "Views of several sizes must be one array"),
    ],
)
def test_bad_views(views, length, message):
    with pytest.raises(ValueError, match=message):
        small_model(length=length)(views)


def test_keys_are_views_of_one_size():
    model = MomentumSupConModel(small_encoder(), supcon_tf.projection_head((3,)), queue_size=16)
    compiled(model, run_eagerly=True)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"`images` must be one array of views.*2 arrays"):
            run(batches((LARGE, SMALL), IDS), verbose=0)
    assert model.queue.num_enqueued == 0


def test_pixels_of_all_sizes_are_checked():
    encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125, input_shape=(None, None, 1))
    views = np.zeros([2, 2, 16, 16, 1], "float32"), np.full([2, 1, 8, 8, 1], 255, "float32")
    with pytest.raises(ValueError, match="images / 255"):
        SupConModel(encoder).encode(views)
    assert SupConModel(encoder).encode((views[0], views[1] / 255)).shape == (2, 3, 64)
