import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.similarity import streaming

IDS = np.arange(16) % 4
VIEWS = np.random.default_rng(0).normal(size=(16, 2, 8)).astype("float32")
SCHEDULE = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.1)


def encoder():
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(6)])


MODELS = {
    "SupConModel": lambda: supcon_tf.SupConModel(encoder(), supcon_tf.projection_head((4,))),
    "micro-batches": lambda: supcon_tf.SupConModel(
        encoder(), supcon_tf.projection_head((4,)), micro_batch_size=4
    ),
    "MomentumSupConModel": lambda: supcon_tf.MomentumSupConModel(
        encoder(), supcon_tf.projection_head((4,)), queue_size=16
    ),
    "JointSupConModel": lambda: supcon_tf.JointSupConModel(
        encoder(), 4, supcon_tf.projection_head((4,))
    ),
}


def losses_of(model, temperature, jit_compile, steps=3):
    """Returns the loss of every step of a training with learning rate 0."""
    model.compile(
        keras.optimizers.SGD(0.0), loss=supcon_tf.SupConLoss(temperature), jit_compile=jit_compile
    )
    return model.fit(VIEWS, IDS, batch_size=16, epochs=steps, shuffle=False, verbose=0).history[
        "loss"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "jit_compile"), [*((name, False) for name in MODELS), ("SupConModel", True)]
)
def test_a_schedule_is_evaluated_at_the_step(name, jit_compile, request):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    scheduled = losses_of(model, SCHEDULE, jit_compile)
    request.getfixturevalue("uncompiled")  # for what is expected
    z = model(VIEWS)
    expected = []
    for step in range(3):
        loss = supcon_tf.SupConLoss(float(SCHEDULE(step)))
        if name == "MomentumSupConModel":  # the queue is empty in the first step
            keys, samples = z[:, 1], np.arange(16)
            if step:
                keys, samples = tf.tile(keys, [2, 1]), np.append(samples, np.full(16, -1))
            labels = np.resize(IDS, len(samples))
            expected.append(loss.contrast(z[:, 0], IDS, keys, labels, ref_sample_ids=samples))
        else:
            expected.append(loss(IDS, z))
    np.testing.assert_allclose(scheduled, expected, rtol=1e-5)
    assert len({round(x, 4) for x in scheduled}) == len(scheduled)


@pytest.mark.slow
def test_a_variable_is_read_at_every_step_and_saved(tmp_path):
    temperature = keras.Variable(0.5, trainable=False)
    model = MODELS["SupConModel"]()
    model.compile(keras.optimizers.SGD(0.0), loss=supcon_tf.SupConLoss(temperature))

    def evaluated(model):
        return model.evaluate(VIEWS, IDS, batch_size=16, verbose=0)

    def expected(value):
        return pytest.approx(float(supcon_tf.SupConLoss(value)(IDS, model(VIEWS))), rel=1e-5)

    assert evaluated(model) == expected(0.5)
    temperature.assign(0.02)  # too low for a single exponential per pair
    assert evaluated(model) == expected(0.02)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert evaluated(loaded) == expected(0.02)
    loaded.loss.temperature.assign(0.3)
    assert evaluated(loaded) == expected(0.3)


@pytest.mark.slow
def test_a_schedule_is_saved(tmp_path):
    model = MODELS["SupConModel"]()
    losses_of(model, SCHEDULE, False, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.temperature.get_config() == SCHEDULE.get_config()
    arguments = {"batch_size": 16, "verbose": 0}
    assert loaded.evaluate(VIEWS, IDS, **arguments) == model.evaluate(VIEWS, IDS, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("make", [supcon_tf.SupConLoss, supcon_tf.GeneralizedSupConLoss])
def test_a_new_temperature_does_not_recompile(make):
    labels = IDS if make is supcon_tf.SupConLoss else np.eye(4)[IDS]

    def tracing_counts():
        return [
            function.experimental_get_tracing_count()
            for function in (streaming._forward, streaming._backward)
        ]

    def gradient(temperature):
        x = tf.constant(VIEWS)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = make(temperature)(labels, x)
        return tape.gradient(value, x)

    gradient(0.1)
    before = tracing_counts()
    gradient(0.2)
    gradient(0.3)
    assert tracing_counts() == before


def test_the_gradient_at_a_variable_temperature(uncompiled):
    for value in (0.5, 0.01):
        results = []
        for temperature in (value, keras.Variable(value)):
            x = tf.constant(VIEWS)
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = supcon_tf.SupConLoss(temperature, base_temperature=0.07)(IDS, x)
            results.append([loss, *tape.gradient(loss, [x])])
        for constant, variable in zip(*results, strict=True):
            np.testing.assert_allclose(variable, constant, rtol=1e-4, atol=1e-6)


def test_temperatures_that_are_not_positive():
    for value in (0.0, -0.1, np.nan):
        assert np.isnan(supcon_tf.SupConLoss(keras.Variable(value))(IDS, VIEWS))
    with pytest.raises(ValueError, match="`temperature` must be a finite number above 0"):
        supcon_tf.SupConLoss("cold")


def test_a_schedule_in_another_model_raises():
    model = encoder()
    model.compile("sgd", loss=supcon_tf.SupConLoss(SCHEDULE))
    with pytest.raises(ValueError, match="let a callback assign it.*Received"):
        model.fit(VIEWS[:, 0], IDS, verbose=0)


def test_checkpoints_restore_a_variable(tmp_path, uncompiled):
    def train(temperature):
        model = MODELS["SupConModel"]()
        model.compile("sgd", loss=supcon_tf.SupConLoss(temperature))
        checkpoints = supcon_tf.callbacks.Checkpoints(tmp_path)
        anneal = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: temperature.assign(0.9 * temperature)
        )
        model.fit(VIEWS, IDS, batch_size=16, verbose=0, callbacks=[anneal, checkpoints])
        return float(temperature.value)

    assert train(keras.Variable(0.5)) == pytest.approx(0.45)
    assert train(keras.Variable(0.5)) == pytest.approx(0.405)
