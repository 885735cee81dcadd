import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.optimizers import SGD, RMSprop, WarmUp


def weights(which="kernel"):
    layer = keras.layers.BatchNormalization() if which == "gamma" else keras.layers.Dense(3)
    layer.build((None, 4))
    variable = getattr(layer, which)
    start = np.random.default_rng(0).normal(size=variable.shape)
    variable.assign(start.astype("float32"))
    return variable, start


def sgd(w, gradients, decay, momentum):
    v = 0.0
    for g in gradients:
        v = momentum * v - 0.1 * (g + decay * w)
        w = w + v
    return w


def rmsprop(w, gradients, decay, momentum):
    mean_square, v = 0.0, 0.0
    for g in gradients:
        g = g + decay * w
        mean_square = 0.9 * mean_square + 0.1 * g**2
        v = momentum * v + 0.1 * g / np.sqrt(mean_square + 1e-3)
        w = w - v
    return w


@pytest.mark.parametrize("which", ["kernel", "bias", "gamma"])
@pytest.mark.parametrize("kind", ["sgd", "rmsprop"])
def test_steps_by_hand(kind, which):
    variable, start = weights(which)
    settings = {"momentum": 0.8, "weight_decay": 0.3, "exclude": [r"/gamma$"]}
    if kind == "sgd":
        optimizer, reference = SGD(0.1, **settings), sgd
    else:
        optimizer, reference = RMSprop(0.1, rho=0.9, epsilon=1e-3, **settings), rmsprop
    gradients = np.random.default_rng(1).normal(size=[3, *start.shape])
    for g in gradients:
        optimizer.apply([tf.constant(g, tf.float32)], [variable])
    expected = reference(start, gradients, 0.0 if which == "gamma" else 0.3, 0.8)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [SGD, RMSprop])
def test_serialisation(kind):
    optimizer = kind(0.1, momentum=0.8, weight_decay=0.3, exclude=["/bias$"])
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()
    assert (again.gradient_decay, again.exclude) == (0.3, ("/bias$",))
    assert again.weight_decay is None  # Keras's own would come on top


@pytest.mark.parametrize("kind", [SGD, RMSprop])
def test_negative_decay(kind):
    with pytest.raises(ValueError, match="`weight_decay` must not be negative. Received: -1"):
        kind(0.1, weight_decay=-1)


@pytest.mark.parametrize(
    "step, expected", [(0, 0.01), (5, 0.105), (10, 0.2), (60, 0.1), (110, 0.0), (200, 0.0)]
)
def test_warm_up_and_cosine(step, expected):
    schedule = WarmUp(keras.optimizers.schedules.CosineDecay(0.2, 100), 10, start=0.01)
    assert float(schedule(step)) == pytest.approx(expected, abs=1e-7)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(again(step)) == float(schedule(step))


def test_no_warm_up_and_bad_steps():
    decay = keras.optimizers.schedules.ExponentialDecay(1.0, 5, 0.97, staircase=True)
    for step in (0, 4, 5, 12):
        assert float(WarmUp(decay, 0)(step)) == pytest.approx(0.97 ** (step // 5), rel=1e-6)
    with pytest.raises(ValueError, match="`steps` must not be negative. Received: -1"):
        WarmUp(decay, -1)
    with pytest.raises(ValueError, match="`schedule` must be a learning rate sched.*Received: 0.1"):
        WarmUp(0.1, 10)


def test_a_pattern_that_is_not_in_a_sequence():
    with pytest.raises(ValueError, match=r"`exclude` must be a sequence.*\['bias'\].*'bias'"):
        SGD(exclude="bias")
