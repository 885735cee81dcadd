import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import LARS
from supcon_tf.optimizers import RMSpropWithL2, SGDWithL2, scale_learning_rates

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=[8, 4]).astype("float32"), RNG.normal(size=[8, 2]).astype("float32")
GRADIENTS = [RNG.normal(size=shape) for shape in ((3, 4, 3), (3, 3), (3, 3, 2), (3, 2))]
FACTORS = (0.1, 0.1, 1.0, 1.0)


def two_layers():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, name="backbone"), keras.layers.Dense(2, name="head")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def scaled(optimizer, model, factor=0.1):
    return scale_learning_rates(optimizer, model, {model.layers[0]: factor})


def apply(optimizer, model):
    for step in range(3):
        gradients = [tf.constant(each[step], tf.float32) for each in GRADIENTS]
        optimizer.apply(gradients, model.trainable_variables)
    return model.get_weights()


def sgd(w, gradients, rates, decay):
    v = 0.0
    for g, rate in zip(gradients, rates, strict=True):
        w = w * (1 - rate * decay)
        v = 0.9 * v - rate * g
        w = w + v
    return w


def adam(w, gradients, rates, decay):
    m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        w = w * (1 - rate * decay)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-7)
    return w


@pytest.mark.parametrize("decay", [None, 0.5])
@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_updates_by_hand(kind, schedule, decay):
    rate, rates = 0.1, np.full(3, 0.1)
    if schedule:
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.2, 0.05])
        rates = np.array([0.1, 0.2, 0.05])
    model = two_layers()
    start = model.get_weights()
    if kind == "sgd":
        optimizer, update = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=decay), sgd
    else:
        optimizer = keras.optimizers.AdamW(rate, beta_2=0.99, weight_decay=decay or 0.0)
        update = adam
    weights = apply(scaled(optimizer, model), model)
    for weight, w, gradients, factor in zip(weights, start, GRADIENTS, FACTORS, strict=True):
        expected = update(w.astype(float), gradients, factor * rates, decay or 0.0)
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda rate: SGDWithL2(rate, momentum=0.9, weight_decay=0.3),
        lambda rate: RMSpropWithL2(rate, weight_decay=0.3),
        lambda rate: LARS(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.Nadam(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.Lion(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.Lamb(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.Adagrad(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.Adamax(rate, weight_decay=0.3),
        lambda rate: keras.optimizers.RMSprop(rate, weight_decay=0.3),
    ],
)
def test_every_layer_moves_as_with_an_optimizer_of_its_own_rate(build):
    model, slow, fast = two_layers(), two_layers(), two_layers()
    optimizer = scaled(build(0.1), model)
    assert isinstance(optimizer, type(build(0.1)))
    weights = apply(optimizer, model)
    expected = [*apply(build(0.01), slow)[:2], *apply(build(0.1), fast)[2:]]
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)


def test_weights_without_decay():
    model = two_layers()
    start = model.get_weights()
    optimizer = scaled(keras.optimizers.SGD(0.1, weight_decay=0.5), model)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([tf.zeros(w.shape) for w in start], model.trainable_variables)
    for weight, w, rate in zip(model.get_weights(), start, (0.005, 0, 0.05, 0), strict=True):
        np.testing.assert_allclose(weight, w * (1 - rate), rtol=1e-6)


def test_the_last_of_nested_layers_decides_and_0_stops():
    model = two_layers()
    optimizer = scale_learning_rates(
        keras.optimizers.SGD(0.1), model, {model: 0.5, model.layers[0]: 0}
    )
    assert optimizer.factors == (0.0, 0.0, 0.5, 0.5)
    start = model.get_weights()
    weights = apply(optimizer, model)
    np.testing.assert_array_equal(weights[0], start[0])
    assert (weights[2] != start[2]).all()


def fit(model, **options):
    model.compile(scaled(keras.optimizers.AdamW(0.1), model), loss="mse", **options)
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.slow
def test_xla_and_two_replicas(two_replicas):
    expected = fit(two_layers(), jit_compile=False)
    compiled = fit(two_layers(), jit_compile=True)
    with two_replicas.scope():
        replicated = two_layers()
        weights = fit(replicated, jit_compile=False)
    for a, b, c in zip(expected, compiled, weights, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
        np.testing.assert_allclose(c, a, atol=1e-5)


@pytest.mark.slow
def test_a_fresh_process_continues(tmp_path):
    model = two_layers()
    fit(model)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    model.fit(X, Y, verbose=0)
    code = (
        "import keras, numpy as np, supcon_tf\n"
        "model, data = keras.saving.load_model('model.keras'), np.load('data.npz')\n"
        "print(model.optimizer.factors)\n"
        "model.fit(data['x'], data['y'], verbose=0)\n"
        "model.save_weights('after.weights.h5')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(FACTORS)
    again = two_layers()
    again.load_weights(tmp_path / "after.weights.h5")
    for weight, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


def test_frozen_layers_are_not_in_the_list():
    model = two_layers()
    model.layers[0].trainable = False
    optimizer = scale_learning_rates(keras.optimizers.SGD(0.1), model, {model.layers[1]: 0.5})
    assert optimizer.factors == (0.5, 0.5)
    model.layers[0].trainable = True
    with pytest.raises(ValueError, match="after you freeze or unfreeze.*4 variables, 2 factors"):
        optimizer.build(model.trainable_variables)


@pytest.mark.parametrize(
    ("optimizer", "factors", "message"),
    [
        (keras.optimizers.Ftrl, {0: 0.1}, "`optimizer` must be a new optimizer.*AdamW.*Received"),
        (lambda: "adam", {0: 0.1}, "`optimizer` must be a new optimizer.*Received: adam"),
        (keras.optimizers.SGD, {0: -1}, "`factors` must be a finite number.*Received: -1"),
        (keras.optimizers.SGD, {None: 1}, "`factors` must name layers with.*'other', which"),
    ],
)
def test_bad_arguments(optimizer, factors, message):
    model, other = two_layers(), keras.layers.Dense(2, name="other")
    factors = {other if k is None else model.layers[k]: value for k, value in factors.items()}
    with pytest.raises(ValueError, match=message):
        scale_learning_rates(optimizer(), model, factors)


def test_a_used_optimizer_and_one_that_excludes_variables():
    model = two_layers()
    used = keras.optimizers.SGD()
    used.build(model.trainable_variables)
    with pytest.raises(ValueError, match="must be a new optimizer"):
        scaled(used, model)
    excluding = keras.optimizers.AdamW()
    excluding.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match="must be called on the optimizer that.*Received"):
        scaled(excluding, model)
    for kind in (SGDWithL2, RMSpropWithL2, LARS):
        excluding = kind(0.1, weight_decay=0.1)
        excluding.exclude_from_weight_decay(var_list=model.trainable_variables[:1])
        with pytest.raises(ValueError, match="must be called on the optimizer that.*Received"):
            scaled(excluding, model)
