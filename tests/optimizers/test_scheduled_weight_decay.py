import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import LARS
from supcon_tf.optimizers import AdamW, RMSpropWithL2, SGDWithL2, scale_learning_rates

RATE = 0.1
# Another weight decay in each step: 0.5, 0.4, 0.3, 0.2, 0.1.
DECAYS = keras.optimizers.schedules.PolynomialDecay(0.5, 5, end_learning_rate=0.0)
KINDS = {
    "sgd": lambda decay: SGDWithL2(RATE, weight_decay=decay),
    "rmsprop": lambda decay: RMSpropWithL2(RATE, rho=0.9, epsilon=1e-3, weight_decay=decay),
    "lars": lambda decay: LARS(RATE, momentum=0.0, trust_coefficient=0.5, weight_decay=decay),
    "adamw": lambda decay: AdamW(RATE, beta_1=0.8, beta_2=0.9, epsilon=1e-8, weight_decay=decay),
}


def expected_weights(kind, w, gradients):
    """The definitions, in float64."""
    m = v = 0.0
    for step, g in enumerate(gradients):
        decay = 0.5 - 0.1 * step
        if kind == "adamw":
            m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
            mean, mean_square = m / (1 - 0.8 ** (step + 1)), v / (1 - 0.9 ** (step + 1))
            w = w - RATE * decay * w
            w = w - RATE * mean / np.sqrt(mean_square)
            continue
        g = g + decay * w
        if kind == "rmsprop":
            v = 0.9 * v + 0.1 * g**2
            g = g / np.sqrt(v + 1e-3)
        if kind == "lars":
            g = 0.5 * np.linalg.norm(w) / np.linalg.norm(g) * g
        w = w - RATE * g
    return w


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_by_hand(kind, jit_compile):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=[4, 3]), rng.normal(size=[4, 4, 3])
    variable = keras.Variable(start, dtype="float32")
    optimizer = KINDS[kind](DECAYS)
    optimizer.build([variable])
    step = lambda g: optimizer.apply([g], [variable])  # noqa: E731
    if jit_compile:
        step = tf.function(step, jit_compile=True)
    for g in gradients:
        step(tf.constant(g, tf.float32))
    expected = expected_weights(kind, start, gradients)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_serialization(kind):
    for decay in (0.3, DECAYS):
        optimizer = KINDS[kind](decay)
        config = optimizer.get_config()
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        assert again.get_config() == config == optimizer.get_config()
        assert float(again.weight_decay) == pytest.approx(0.3 if decay == 0.3 else 0.5)


@pytest.mark.versions
@pytest.mark.parametrize("kind", ["lars", "adamw"])
def test_a_loaded_model_continues_the_schedule(kind, tmp_path):
    x, y = np.random.default_rng(0).normal(size=[2, 4, 4]).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile(KINDS[kind](DECAYS), loss="mse", run_eagerly=True)
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert float(loaded.optimizer.weight_decay) == pytest.approx(0.3)
    for each in (model, loaded):
        each.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    for ours, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_replicas_take_the_same_steps(kind, two_replicas):
    x, y = np.random.default_rng(0).normal(size=[2, 16, 4]).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4, drop_remainder=True)

    def train():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        model.compile(KINDS[kind](DECAYS), loss="mse")
        model.fit(data, verbose=0)
        return model.get_weights()

    expected = train()
    with two_replicas.scope():
        actual = train()
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_schedule_counts_the_steps_of_a_learning_rate():
    """Also those that only accumulate gradients."""
    variable = keras.Variable([1.0])
    optimizer = AdamW(DECAYS, weight_decay=DECAYS, gradient_accumulation_steps=2)
    for step in range(4):
        assert float(optimizer.weight_decay) == pytest.approx(0.5 - 0.1 * step)
        assert float(optimizer.weight_decay) == float(optimizer.learning_rate)
        optimizer.apply([tf.constant([1.0])], [variable])


def test_scaled_learning_rates_scale_the_decay():
    """In steps with a zero gradient only the decay changes a weight."""
    first, second = keras.layers.Dense(2), keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((2,)), first, second])
    optimizer = scale_learning_rates(AdamW(RATE, weight_decay=DECAYS), model, {first: 0.5})
    before = [layer.kernel.numpy() for layer in (first, second)]
    for _ in range(2):
        zeros = [tf.zeros(variable.shape) for variable in model.trainable_variables]
        optimizer.apply(zeros, model.trainable_variables)
    for layer, old, rate in zip((first, second), before, (RATE / 2, RATE), strict=True):
        expected = old * (1 - rate * 0.5) * (1 - rate * 0.4)
        np.testing.assert_allclose(layer.kernel.numpy(), expected, rtol=1e-5)


def test_the_weight_decay_can_be_set():
    optimizer = AdamW(RATE)
    assert optimizer.weight_decay == 0.004  # the default of Keras
    optimizer.weight_decay = DECAYS
    assert float(optimizer.weight_decay) == pytest.approx(0.5)


@pytest.mark.parametrize("decay", [-1.0, float("nan"), "0.1"])
def test_bad_weight_decays(decay):
    message = f"`weight_decay` must be a finite number.* Received: '?{decay}"
    for kind in KINDS.values():
        with pytest.raises(ValueError, match=message):
            kind(decay)
