import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import LARS
from supcon_tf.optimizers import RMSpropWithL2, SGDWithL2


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
        optimizer, reference = SGDWithL2(0.1, **settings), sgd
    else:
        optimizer, reference = RMSpropWithL2(0.1, rho=0.9, epsilon=1e-3, **settings), rmsprop
    gradients = np.random.default_rng(1).normal(size=[3, *start.shape])
    for g in gradients:
        optimizer.apply([tf.constant(g, tf.float32)], [variable])
    expected = reference(start, gradients, 0.0 if which == "gamma" else 0.3, 0.8)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [SGDWithL2, RMSpropWithL2])
def test_serialization(kind):
    optimizer = kind(0.1, momentum=0.8, weight_decay=0.3, exclude=["/bias$"])
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()
    assert (again.weight_decay, again.exclude) == (0.3, ("/bias$",))


@pytest.mark.parametrize("kind", [SGDWithL2, RMSpropWithL2])
def test_negative_decay(kind):
    with pytest.raises(ValueError, match="`weight_decay` must be a finite number.* Received: -1"):
        kind(0.1, weight_decay=-1)


def test_exclude_must_be_a_sequence():
    with pytest.raises(ValueError, match=r"`exclude` must be a sequence.*\['bias'\].*'bias'"):
        SGDWithL2(exclude="bias")


OPTIMIZERS = {
    "sgd": lambda **settings: SGDWithL2(0.1, momentum=0.8, **settings),
    "rmsprop": lambda **settings: RMSpropWithL2(
        0.1, rho=0.9, momentum=0.8, epsilon=1e-3, **settings
    ),
    "lars": lambda **settings: LARS(0.1, momentum=0.8, trust_coefficient=0.5, **settings),
}


def two_layers():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="first"), keras.layers.Dense(2, name="next")]
    )


def train(optimizer, start):
    """Runs three steps and returns every weight by its path, without the model's name."""
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
def test_exclude_from_weight_decay_removes_the_decay_alone(kind, start):
    """An excluded weight takes the steps of a run without decay (LARS still scales it)."""
    decayed = train(OPTIMIZERS[kind](weight_decay=0.3), start)
    undecayed = train(OPTIMIZERS[kind](weight_decay=None), start)
    optimizer = OPTIMIZERS[kind](weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "next/k"])
    for each in (optimizer, keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))):
        weights = train(each, start)
        for path, weight in weights.items():
            expected, other = decayed[path], undecayed[path]
            if path != "first/kernel":
                expected, other = other, expected
            np.testing.assert_array_equal(weight, expected)
            assert not np.allclose(weight, other)


@pytest.mark.versions
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_loading_keeps_the_variables_excluded_from_weight_decay(kind, tmp_path):
    """In steps with a zero gradient only the decay changes a weight."""
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
    assert changed == [False, False, True, False]  # The biases are 0.


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weight_decay_attribute(kind):
    assert OPTIMIZERS[kind]().weight_decay is None
    assert OPTIMIZERS[kind](weight_decay=1e-3).weight_decay == 1e-3


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_late_or_invalid_exclusions(kind):
    optimizer = OPTIMIZERS[kind](weight_decay=0.3)
    with pytest.raises(ValueError, match=r"`var_names` must be a sequence.*Received: 'bias'"):
        optimizer.exclude_from_weight_decay(var_names="bias")
    optimizer.build(two_layers().trainable_variables)
    with pytest.raises(ValueError, match="must be called before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


@pytest.mark.slow
def test_exclude_matches_the_name_of_a_tensorflow_variable():
    variable = tf.Variable([1.0, -2.0], name="offset")
    optimizer = SGDWithL2(0.5, weight_decay=0.1, exclude=["offset"])
    optimizer.apply([tf.constant([1.0, 1.0])], [variable])
    np.testing.assert_allclose(variable, [0.5, -2.5])
