import keras
import numpy as np
import pytest

from supcon_tf import CrossEntropyModel, LinearClassifier, SupConLoss

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


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


def test_fit_trains_the_encoder():
    images, labels = images_and_labels(64)
    encoder = small_encoder()
    before = encoder.get_weights()
    model = CrossEntropyModel(encoder, 2)
    model.compile(keras.optimizers.SGD(0.05), loss=LOSS, metrics=["accuracy"])
    history = model.fit(images, labels, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for weight, old in zip(encoder.get_weights(), before, strict=True):
        assert not np.array_equal(weight, old)


@pytest.mark.parametrize("kind", [CrossEntropyModel, LinearClassifier])
def test_logits_are_float32(kind):
    keras.config.set_dtype_policy("mixed_bfloat16")
    images, _ = images_and_labels(2)
    assert kind(small_encoder(), 3)(images).dtype == "float32"


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("kind", [CrossEntropyModel, LinearClassifier])
def test_save_and_load(tmp_path, kind):
    images, labels = images_and_labels(16)
    model = kind(small_encoder(), 2)
    model.compile("sgd", loss=LOSS, metrics=["accuracy"])
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded) is kind
    assert len(loaded.trainable_weights) == len(model.trainable_weights)
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.evaluate(images, labels, verbose=0) == model.evaluate(images, labels, verbose=0)


@pytest.mark.parametrize("num_classes", [1, 0, 2.5, "10"])
def test_bad_number_of_classes(num_classes):
    with pytest.raises(ValueError, match="`num_classes`.*Received"):
        CrossEntropyModel(small_encoder(), num_classes)


def test_bad_encoder():
    inputs = keras.Input((8, 8, 1))
    with pytest.raises(ValueError, match=r"`encoder`.*\[batch, dim\]"):
        CrossEntropyModel(keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)), 2)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.categorical_crossentropy,
        keras.losses.CategoricalFocalCrossentropy(),
        keras.losses.KLDivergence(),
        ["categorical_crossentropy"],
        SupConLoss(),
        SupConLoss,
    ],
)
def test_a_loss_of_probabilities_is_refused(loss):
    model = CrossEntropyModel(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)]), num_classes=2
    )
    with pytest.raises(ValueError, match=r"`loss` must take logits.*from_logits=True.*Received"):
        model.compile("sgd", loss=loss)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        lambda y, logits: keras.ops.sum(y * logits, -1),
        "hinge",
        None,
    ],
)
def test_a_loss_of_logits_is_taken(loss):
    model = CrossEntropyModel(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)]), num_classes=2
    )
    model.compile("sgd", loss=loss)
    assert model.loss is loss
