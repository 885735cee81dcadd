import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import LARS


def numpy_steps(w, gradients, rate, momentum, trust_coefficient, decay, adapt=True):
    """The definition, with the learning rate inside the momentum buffer."""
    w, v = w.astype("float64"), 0.0
    for g in gradients:
        ratio = 1.0
        if adapt:
            g = g + decay * w
            w_norm, g_norm = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
            if w_norm > 0 and g_norm > 0:
                ratio = trust_coefficient * w_norm / g_norm
        v = momentum * v + rate * ratio * g
        w = w - v
    return w


def layer(kind):
    built = {"dense": keras.layers.Dense(3), "norm": keras.layers.BatchNormalization()}[kind]
    built.build((None, 4))
    return built


def apply(optimizer, variable, gradients):
    for g in gradients:
        optimizer.apply([tf.constant(g, tf.float32)], [variable])
    return keras.ops.convert_to_numpy(variable)


@pytest.mark.parametrize("which", ["kernel", "bias", "gamma"])
def test_steps_by_hand(which):
    rng = np.random.default_rng(0)
    variable = getattr(layer("norm" if which == "gamma" else "dense"), which)
    start = rng.normal(size=variable.shape).astype("float32")
    variable.assign(start)
    gradients = rng.normal(size=[3, *variable.shape])
    settings = {"momentum": 0.8, "trust_coefficient": 0.01}
    actual = apply(LARS(2.0, weight_decay=0.1, **settings), variable, gradients)
    expected = numpy_steps(start, gradients, 2.0, decay=0.1, adapt=which != "gamma", **settings)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zero", ["weights", "gradient"])
def test_the_trust_ratio_is_one_at_a_norm_of_zero(zero):
    variable = layer("dense").kernel
    start = np.zeros([4, 3]) if zero == "weights" else np.ones([4, 3])
    gradient = np.zeros([4, 3]) if zero == "gradient" else np.ones([4, 3])
    variable.assign(start)
    actual = apply(LARS(0.5, momentum=0.0), variable, [gradient])
    np.testing.assert_allclose(actual, start - 0.5 * gradient, rtol=1e-6)


def test_exclude_matches_parts_of_paths():
    variable = layer("dense").bias
    variable.assign(np.ones(3))
    actual = apply(LARS(1.0, exclude=["bias$"], weight_decay=1.0), variable, [np.ones(3)])
    np.testing.assert_allclose(actual, np.zeros(3), atol=1e-6)


def test_serialization_with_a_schedule():
    schedule = keras.optimizers.schedules.CosineDecay(1.0, 10)
    optimizer = LARS(
        schedule, momentum=0.5, trust_coefficient=0.1, weight_decay=1e-3, exclude=["x"]
    )
    rebuilt = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(rebuilt, LARS)
    assert rebuilt.get_config() == optimizer.get_config()


@pytest.mark.slow
@pytest.mark.versions
def test_a_loaded_model_resumes_bitwise(tmp_path):
    x, y = np.random.default_rng(0).normal(size=[2, 32, 4]).astype("float32")

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile(LARS(1.0), loss="mse")
    model.fit(x, y, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.versions
def test_replicas_take_the_same_steps(two_replicas):
    x, y = np.random.default_rng(0).normal(size=[2, 32, 4]).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8, drop_remainder=True)

    def train():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        model.compile(LARS(1.0, trust_coefficient=0.1), loss="mse")
        model.fit(data, epochs=2, verbose=0)
        return model.get_weights()

    expected = train()
    with two_replicas.scope():
        actual = train()
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "value"), [("momentum", 1.0), ("trust_coefficient", 0.0), ("weight_decay", -1.0)]
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*Received: {value}"):
        LARS(**{argument: value})
