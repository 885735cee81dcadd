import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.encoders import vit
from supcon_tf.encoders.pixels import find_pixels

SMALL = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}
IMAGES = np.random.default_rng(0).normal(size=[3, 16, 24, 3]).astype("float32")


@pytest.fixture(params=["token", "avg"])
def encoder(request):
    pytest.importorskip("keras_hub")
    return vit(**SMALL, input_shape=(16, 24, 3), pooling=request.param)


def test_representations_are_the_token_or_the_average_of_the_patches(encoder):
    tokens = encoder.get_layer("backbone")(IMAGES).numpy()
    averaged = any(layer.name == "pool" for layer in encoder.layers)
    assert tokens.shape == (3, 6 if averaged else 7, 8)
    expected = tokens.mean(axis=1) if averaged else tokens[:, 0]
    np.testing.assert_allclose(encoder(IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert encoder.output_shape == (None, 8)
    assert find_pixels(encoder).standardized


def test_save_and_load(encoder, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(IMAGES), encoder(IMAGES))


@pytest.mark.slow
def test_published_number_of_parameters():
    """ViT-Ti/16 of timm has 5,717,416, of which 193,000 are those of the classifier."""
    pytest.importorskip("keras_hub")
    with keras.StatelessScope():  # weights have shapes and no values, which takes less time
        encoder = vit(patch_size=16, num_layers=12, num_heads=3, hidden_dim=192)
    assert encoder.count_params() == 5_717_416 - 193_000


def test_every_patch_reaches_the_token():
    pytest.importorskip("keras_hub")
    encoder = vit(**SMALL, input_shape=(16, 24, 3))
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = tf.reduce_sum(encoder(images)[:, 0])
    gradient = np.abs(tape.gradient(outputs, images)).max(axis=-1)
    assert (gradient.reshape([3, 2, 8, 3, 8]).max(axis=(2, 4)) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "max"}, "`pooling` must be one of .*Received: 'max'"),
        ({"num_heads": 3}, "`hidden_dim` must be a multiple of `num_heads`, 3. Received: 8"),
        ({"num_layers": 0}, "`num_layers` must be an integer of at least 1. Received: 0"),
        ({"patch_size": 0}, "`patch_size` must be an integer of at least 1. Received: 0"),
        ({"mlp_dim": -1}, "`mlp_dim` must be an integer of at least 1. Received: -1"),
        ({"input_shape": (16, 20, 3)}, r"multiples of `patch_size`, 8. Received: \(16, 20, 3\)"),
        ({"input_shape": (None, 16, 3)}, r"multiples of `patch_size`.*Received: \(None, 16, 3\)"),
        ({"input_shape": 32}, r"must be \(height, width, channels\).*Received: 32"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        vit(**{**SMALL, **arguments})
