import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import LARS
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
def test_serialization(kind):
    optimizer = kind(0.1, momentum=0.8, weight_decay=0.3, exclude=["/bias$"])
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()
    assert (again.weight_decay, again.exclude) == (0.3, ("/bias$",))


@pytest.mark.parametrize("kind", [SGD, RMSprop])
def test_negative_decay(kind):
    with pytest.raises(ValueError, match="`weight_decay` must be a finite number.* Received: -1"):
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


OPTIMIZERS = {
    "sgd": lambda **settings: SGD(0.1, momentum=0.8, **settings),
    "rmsprop": lambda **settings: RMSprop(0.1, rho=0.9, momentum=0.8, epsilon=1e-3, **settings),
    "lars": lambda **settings: LARS(0.1, momentum=0.8, eta=0.5, **settings),
}


def two_layers():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="first"), keras.layers.Dense(2, name="next")]
    )


def train(optimizer, start):
    """Makes three steps and returns every weight by its path, without the model's own name."""
    model = two_layers()
    model.set_weights(start)
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=[3, *weight.shape]) for weight in start]
    for step in range(3):
        optimizer.apply(
            [tf.constant(each[step], tf.float32) for each in gradients], model.trainable_variables
        )
    return {v.path.split("/", 1)[1]: v.numpy() for v in model.trainable_variables}


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(0)
    return [rng.normal(size=weight.shape) for weight in two_layers().get_weights()]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_excluded_from_weight_decay_as_without_it(kind, start):
    """An excluded weight makes the steps of no decay (LARS scales it), any other those with."""
    decayed = train(OPTIMIZERS[kind](weight_decay=0.3), start)
    undecayed = train(OPTIMIZERS[kind](weight_decay=None), start)
    optimizer = OPTIMIZERS[kind](weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "next/k"])
    for again in (optimizer, keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))):
        weights = train(again, start)
        for path, weight in weights.items():
            expected, other = decayed[path], undecayed[path]
            if path != "first/kernel":
                expected, other = other, expected
            np.testing.assert_array_equal(weight, expected)
            assert not np.allclose(weight, other)


@pytest.mark.versions
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_variables_excluded_from_weight_decay_are_still_so_after_loading(kind, tmp_path):
    """In steps without a gradient the decay is all that changes a weight."""
    model = two_layers()
    optimizer = OPTIMIZERS[kind](weight_decay=0.3)
    excluded = model.layers[0].kernel
    optimizer.exclude_from_weight_decay(var_list=[excluded])
    model.compile(optimizer, loss=lambda y, predictions: 0.0 * keras.ops.sum(predictions, axis=-1))
    model.fit(np.zeros([2, 4]), np.zeros([2, 2]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    before = [weight.numpy() for weight in loaded.trainable_variables]
    loaded.optimizer.apply([tf.zeros(w.shape) for w in before], loaded.trainable_variables)
    changed = [
        not np.array_equal(weight, old)
        for weight, old in zip(loaded.trainable_variables, before, strict=True)
    ]
    assert changed == [False, False, True, False]  # biases are 0


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weight_decay_reads_as_given(kind):
    assert OPTIMIZERS[kind]().weight_decay is None
    assert OPTIMIZERS[kind](weight_decay=1e-3).weight_decay == 1e-3


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_exclusions_that_come_too_late_or_are_no_list(kind):
    optimizer = OPTIMIZERS[kind](weight_decay=0.3)
    with pytest.raises(ValueError, match=r"`var_names` must be a sequence.*Received: 'bias'"):
        optimizer.exclude_from_weight_decay(var_names="bias")
    optimizer.build(two_layers().trainable_variables)
    with pytest.raises(ValueError, match="must be called before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_a_variable_of_tensorflow_has_a_name_for_a_path():
    variable = tf.Variable([1.0, -2.0], name="offset")
    optimizer = SGD(0.5, weight_decay=0.1, exclude=["offset"])
    optimizer.apply([tf.constant([1.0, 1.0])], [variable])
    np.testing.assert_allclose(variable, [0.5, -2.5])
