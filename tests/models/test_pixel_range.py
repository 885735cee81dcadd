"""Images of the wrong range, into encoders of this library and into others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.encoders.pixels import Pixels, find_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, [8, 8, 8, 1], np.uint8)
LABELS = np.arange(8) % 2
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def encoder():
    inputs = keras.Input((8, 8, 1), name="images")
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(Pixels()(inputs)))
    return keras.Model(inputs, outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda: supcon_tf.encoders.resnet(10, stem="cifar", width=1 / 16, input_shape=(8, 8, 1)),
        lambda: supcon_tf.encoders.efficientnet_v2("b0", stem="cifar"),
    ],
)
def test_the_encoders_of_this_library_are_marked(build):
    assert find_pixels(build()).standardized


def classifier(encoder, run_eagerly=False):
    model = supcon_tf.LinearClassifier(encoder, 2)
    model.compile("sgd", loss=LOSS, run_eagerly=run_eagerly)
    return model


def contrastive(encoder, **options):
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((4,)), **options)
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    return model


def refused(received):
    message = rf"takes images in \[0, 1\], or standardized ones.*`images / 255`.*{received}"
    return pytest.raises(ValueError, match=message)


def test_integers_and_large_pixels_are_refused_everywhere():
    model = classifier(encoder())
    for images, received in ((PIXELS, "dtype uint8$"), (PIXELS * 1.0, r"pixels from \d to 25\d$")):
        with refused(received):
            model.fit(images, LABELS, verbose=0)
        with refused(received):
            model.evaluate(images, LABELS, verbose=0)
        with refused(received):
            model.predict(images, verbose=0)
        with refused(received):
            model.predict({"images": images}, verbose=0)
        with refused(received):
            contrastive(encoder()).encode(images)


@pytest.mark.slow
def test_every_kind_of_data(two_replicas):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return PIXELS, LABELS

    dataset = tf.data.Dataset.from_tensors((PIXELS, LABELS))
    for data in (dataset, Batches(), (batch for batch in [(PIXELS, LABELS)])):
        with refused("uint8"):
            classifier(encoder()).fit(data, verbose=0)
    with two_replicas.scope():
        model = classifier(encoder())
    with refused("uint8"):
        model.fit(dataset, verbose=0)
    with refused("uint8"):
        model.fit(two_replicas.experimental_distribute_dataset(dataset), verbose=0)


def test_standardized_images_are_accepted_and_generators_stay_complete(uncompiled):
    model = classifier(encoder(), run_eagerly=True)
    images = ((PIXELS - 127.0) / 40).astype("float32")
    assert np.abs(images).max() > 3
    model.fit(images, LABELS, verbose=0)
    model.fit(((images[i : i + 4], LABELS[i : i + 4]) for i in (0, 4)), verbose=0)
    assert int(model.optimizer.iterations) == 3
    model.predict(images, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
def test_the_mark_remains_in_a_file(tmp_path, nested):
    model = contrastive(encoder()) if nested else encoder()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    with refused("uint8"):
        classifier(loaded.encoder if nested else loaded).fit(PIXELS, LABELS, verbose=0)


def test_encoders_that_scale_and_encoders_of_other_origin_are_not_checked(uncompiled):
    scaled = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), encoder()]
    other = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
    for layers in (scaled, other):
        classifier(keras.Sequential(layers), run_eagerly=True).fit(PIXELS, LABELS, verbose=0)


def test_an_augmenter_can_scale(uncompiled):
    scale = keras.layers.Rescaling(1 / 255)
    model = contrastive(encoder(), augmenter=scale)
    model.fit(PIXELS, LABELS, verbose=0)
    model.evaluate(PIXELS, LABELS, verbose=0)
    with refused("uint8"):
        model.predict(PIXELS, verbose=0)  # without the augmenter
    flipping = keras.Sequential([keras.layers.RandomFlip("horizontal", seed=0)])
    model = contrastive(encoder(), augmenter=flipping)
    seed = [variable.numpy() for variable in flipping.variables]
    with refused("pixels from . to 25"):
        model.fit(PIXELS, LABELS, verbose=0)
    for variable, before in zip(flipping.variables, seed, strict=True):
        np.testing.assert_array_equal(variable, before)


@pytest.mark.slow
def test_batches_of_this_library_are_not_read_for_the_check(monkeypatch, uncompiled):
    source = supcon_tf.data.ArrayImages(PIXELS, LABELS, ["a", "b"])
    views = supcon_tf.data.multi_view_batches(
        source, supcon_tf.augmentation.crop_flip(8), batch_size=4
    )
    read = "supcon_tf.models.encoder_model.read_first_rows"
    monkeypatch.setattr(read, lambda data: pytest.fail("reads a batch"))
    contrastive(encoder()).fit(views, verbose=0)
