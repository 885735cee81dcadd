import keras
import numpy as np
import pytest

from supcon_tf import LinearClassifier


def small_encoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
        ]
    )


def images_and_labels(samples):
    """Images of class 1 have a bright upper half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=samples)
    images = 0.2 * rng.random([samples, 8, 8, 1])
    images[labels == 1, :4] += 0.8
    return images.astype("float32"), labels


@pytest.mark.slow
@pytest.mark.parametrize("batch_statistics", [False, True])
def test_only_the_linear_layer_trains(batch_statistics):
    images, labels = images_and_labels(64)
    encoder = small_encoder()
    before = encoder.get_weights()
    model = LinearClassifier(encoder, 2, batch_statistics=batch_statistics)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss=loss, metrics=["accuracy"])
    history = model.fit(images, labels, epochs=10, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert len(model.trainable_variables) == 2
    # The moving statistics of batch normalization are among these weights.
    for weight, old in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_logits_are_a_linear_function_of_representations():
    images, _ = images_and_labels(8)
    model = LinearClassifier(small_encoder(), 3)
    representations = model.encoder(images, training=False)
    expected = representations @ model.head.kernel + model.head.bias
    for training in (False, True):
        np.testing.assert_allclose(model(images, training=training), expected, atol=1e-5)


def test_batch_statistics():
    images, _ = images_and_labels(8)
    images = 5 * images + 1  # far from the initial moving statistics
    model = LinearClassifier(small_encoder(), 3, batch_statistics=True)
    in_inference = model(images, training=False)
    in_training = model(images, training=True)
    expected = model.encoder(images, training=True) @ model.head.kernel + model.head.bias
    np.testing.assert_allclose(in_training, expected, atol=1e-5)
    assert np.abs(in_training - in_inference).max() > 0.1


def test_a_number_of_classes_that_numpy_counted():
    model = LinearClassifier(small_encoder(), np.array([0, 2, 1]).max() + 1)
    assert type(model.get_config()["num_classes"]) is int


def test_the_summary_counts_all_weights():
    encoder = keras.Sequential([keras.Input([6]), keras.layers.Dense(6)])
    model = LinearClassifier(encoder, 4)
    assert len(model.trainable_weights) == len(model.non_trainable_weights) == 2
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Total params: 70" in text
    assert "Trainable params: 28" in text
    assert "Non-trainable params: 42" in text
