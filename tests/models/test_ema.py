import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf import AveragedCrossEntropyModel, MomentumSupConModel
from supcon_tf.models.ema import clone

RNG = np.random.default_rng(0)
VIEWS = RNG.normal(size=[8, 2, 6]).astype("float32")
IDS = np.arange(8) % 4


class Unregistered(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(6)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return tf.math.sin(self.dense(x))


class Subclassed(keras.Model):
    input_shape = output_shape = (None, 6)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Unregistered()

    def call(self, x):
        return self.inner(x)


def sequential(*parts):
    return keras.Sequential([keras.Input([6]), layers.Dense(6), *parts])


def branched():
    inputs = keras.Input([6])
    shared = layers.Dense(6)
    x, y = shared(inputs), layers.Dense(6)(inputs)
    x = x[:, ::-1]
    inner = keras.Sequential([layers.Dense(6), layers.Lambda(lambda x: tf.math.sin(x))])
    parts = [shared(y), layers.Dense(6)(x), inner(y), shared(inner(x))]
    return keras.Model(inputs, layers.Concatenate()(parts))


def subclassed():
    model = Subclassed()
    model(VIEWS[:, 0])
    return model


ENCODERS = {
    "lambda": lambda: sequential(layers.Lambda(lambda x: tf.math.sin(x)), layers.Dropout(0.5)),
    "lambda within a layer": lambda: sequential(
        layers.Reshape([2, 3]),
        layers.TimeDistributed(layers.Lambda(lambda x: tf.math.sin(x))),
        layers.Flatten(),
    ),
    "unregistered": lambda: sequential(Unregistered()),
    "branched": branched,
    "subclassed": subclassed,
}


@pytest.mark.versions
@pytest.mark.filterwarnings("error:The structure of `inputs`")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_clones_of_any_encoder(encoder, uncompiled):
    encoder = ENCODERS[encoder]()
    for weight in encoder.weights:  # biases are zero at first
        weight.assign(RNG.normal(size=weight.shape))
    expected = encoder(VIEWS[:, 0])
    model = MomentumSupConModel(encoder, queue_size=8)
    averaged = AveragedCrossEntropyModel(encoder, num_classes=4)
    copies = model.momentum_encoder, averaged.average.encoder
    for copy in copies:
        np.testing.assert_array_equal(copy(VIEWS[:, 0]), expected)
        assert not copy.trainable_weights
        assert not {id(x) for x in copy.variables} & {id(x) for x in encoder.variables}
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    model.fit(VIEWS, IDS, verbose=0)
    assert np.abs(encoder(VIEWS[:, 0]) - expected).max() > 1e-4


def fit_once(model, **arguments):
    model.compile(keras.optimizers.SGD(0.1), loss=supcon_tf.SupConLoss(), **arguments)
    model.fit(VIEWS, IDS, batch_size=8, shuffle=False, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "states"), [("eager", (True, False, True)), ("graph", (True, False))]
)
def test_key_statistics_are_frozen_while_the_encoder_is(how, states):
    encoder = sequential(layers.BatchNormalization(momentum=0.5))
    encoder.trainable = False
    head = supcon_tf.projection_head((4,))
    model = MomentumSupConModel(encoder, head, queue_size=8)
    norm = model.momentum_encoder.layers[-1]
    for frozen in states:
        encoder.trainable = not frozen
        before = norm.moving_mean.numpy()
        keys = model.momentum_encoder.layers[0](VIEWS[:, 1]).numpy()
        fit_once(model, run_eagerly=how == "eager")
        expected = before if frozen else 0.5 * before + 0.5 * keys.mean(axis=0)
        np.testing.assert_allclose(norm.moving_mean, expected, atol=1e-6)
        assert len(model.trainable_weights) == (1 if frozen else 5)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_keys_approach_an_encoder_that_is_frozen_later():
    encoder = sequential()
    model = MomentumSupConModel(encoder, queue_size=8, momentum=0.25)
    fit_once(model)
    key_kernel, kernel = model.momentum_encoder.weights[0].numpy(), encoder.weights[0].numpy()
    encoder.trainable = False
    fit_once(model)
    np.testing.assert_array_equal(encoder.weights[0], kernel)
    expected = 0.25 * key_kernel + 0.75 * kernel
    np.testing.assert_allclose(model.momentum_encoder.weights[0], expected, atol=1e-6)


def test_clone_of_an_operation_that_is_not_a_layer():
    inputs = keras.Input((2, 3))
    layer = keras.Model(inputs, keras.layers.Dense(4)(inputs[:, 0] + 1.0))
    copy = clone(layer, keras.Input((2, 3)))
    x = np.random.default_rng(0).normal(size=[5, 2, 3])
    np.testing.assert_array_equal(copy(x), layer(x))
