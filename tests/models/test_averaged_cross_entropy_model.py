"""The average of the weights, compared with a NumPy loop over the weights of every step."""

import keras
import numpy as np
import pytest

import supcon_tf

IMAGES = np.random.default_rng(0).normal(size=[12, 8, 8, 1]).astype("float32")
LABELS = np.arange(12) % 3


def classifier(**arguments):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            keras.layers.BatchNormalization(),
        ]
    )
    model = supcon_tf.AveragedCrossEntropyModel(encoder, 3, **arguments)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.3), loss=loss, metrics=["accuracy"])
    return model


def trained_weights(model):
    return [weight.numpy() for part in (model.encoder, model.head) for weight in part.weights]


def averaged_weights(model):
    average = model.average
    return [weight.numpy() for part in (average.encoder, average.head) for weight in part.weights]


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_average_of_all_weights(momentum):
    model = classifier(momentum=momentum)
    expected = [weight.astype("float64") for weight in trained_weights(model)]
    history = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            history.append(trained_weights(model))

    model.fit(IMAGES, LABELS, batch_size=3, shuffle=False, verbose=0, callbacks=[Record()])
    assert len(history) == 4
    for step, weights in enumerate(history, 1):
        m = min(momentum, (1 + step) / (10 + step))
        expected = [m * old + (1 - m) * new for old, new in zip(expected, weights, strict=True)]
    for actual, wanted in zip(averaged_weights(model), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)
    assert len(model.trainable_variables) == 6  # no optimizer touches the average


def test_the_model_predicts_with_the_average():
    model = classifier(momentum=0.9)
    model.fit(IMAGES, LABELS, batch_size=3, verbose=0)
    logits = np.asarray(model.average(IMAGES))
    trained = np.asarray(supcon_tf.CrossEntropyModel.call(model, IMAGES))
    assert np.abs(logits - trained).max() > 1e-3
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), logits, rtol=1e-4, atol=1e-5)
    accuracy = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((logits.argmax(axis=1) == LABELS).mean())


@pytest.mark.slow
def test_save_and_load(tmp_path):
    model = classifier(momentum=0.5)
    model.fit(IMAGES, LABELS, batch_size=3, verbose=0)
    model.save(tmp_path / "model.keras")
    model.average.save(tmp_path / "average.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.momentum == 0.5
    for actual, wanted in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, wanted)
    average = keras.saving.load_model(tmp_path / "average.keras")
    assert type(average) is supcon_tf.CrossEntropyModel
    np.testing.assert_array_equal(average(IMAGES), model.average(IMAGES))


@pytest.mark.parametrize("momentum", [1.0, -0.1, "fast", None])
def test_bad_momentum(momentum):
    with pytest.raises(
        ValueError, match="`momentum` must be a number of at least 0 and below 1. R"
    ):
        classifier(momentum=momentum)
