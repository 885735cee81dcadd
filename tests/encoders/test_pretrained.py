import subprocess
import sys

import keras
import numpy as np
import pytest

import supcon_tf
from supcon_tf.encoders import pretrained

applications = keras.applications
SHAPE = (32, 32, 3)
# Small models of all conventions: [0, 255] with own rescaling, BGR without the mean, [-1, 1], and
# [0, 255] with own normalization.
BACKBONES = {
    "efficientnet_v2": lambda **options: applications.EfficientNetV2B0(**options),
    "resnet50": lambda **options: applications.ResNet50(**options),
    "mobilenet_v2": lambda **options: applications.MobileNetV2(alpha=0.35, **options),
    "convnext": lambda **options: applications.ConvNeXtTiny(**options),
}
IMAGES = np.random.default_rng(0).random([2, *SHAPE], "float32")


def backbone(name, **options):
    keras.utils.set_random_seed(0)
    return BACKBONES[name](include_top=False, weights=None, input_shape=SHAPE, **options)


def preprocess_input(name):
    return getattr(applications, name).preprocess_input


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_equals_the_preprocessing_followed_by_the_backbone(name):
    model = backbone(name)
    encoder = pretrained(model, preprocess_input(name))
    maps = np.asarray(model(preprocess_input(name)(255 * IMAGES)))
    close(np.asarray(encoder(IMAGES)), maps.mean(axis=(1, 2)))
    if name in ("efficientnet_v2", "convnext"):  # They rescale themselves.
        close(np.asarray(pretrained(model, None, pooling="max")(IMAGES)), maps.max(axis=(1, 2)))


@pytest.mark.slow
def test_weights_of_a_checkpoint_and_a_fresh_process(tmp_path):
    source, target = tiny(), tiny()
    source.save_weights(tmp_path / "backbone.weights.h5")
    target.load_weights(tmp_path / "backbone.weights.h5")
    encoder = pretrained(target, preprocess_input("resnet50"))
    images = IMAGES[:, :8, :8]
    expected = np.asarray(source(preprocess_input("resnet50")(255 * images))).mean(axis=(1, 2))
    encoder.save(tmp_path / "encoder.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, keras, numpy as np, supcon_tf\n"
        "encoder = keras.saving.load_model('encoder.keras')\n"
        "np.save('outputs.npy', encoder(np.load('images.npy')))\n"
        "classifier = supcon_tf.LinearClassifier(encoder, 2)\n"
        "try: classifier.predict(255 * np.load('images.npy'), verbose=0)\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    close(np.load(tmp_path / "outputs.npy"), expected)
    assert "takes images in [0, 1], which it standardizes itself" in done.stdout


def tiny(output=None):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    return keras.Model(inputs, x if output is None else output(x), name="tiny")


def test_preprocessing_by_a_layer():
    model = tiny()
    encoder = pretrained(model, keras.layers.Rescaling(1 / 100, offset=-1))
    images = IMAGES[:, :8, :8]
    expected = np.asarray(model(images * 2.55 - 1)).mean(axis=(1, 2))
    close(np.asarray(encoder(images)), expected)
    again = type(encoder).from_config(encoder.get_config())
    again.set_weights(encoder.get_weights())
    close(np.asarray(again(images)), expected)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (keras.layers.Flatten(), lambda maps: maps.reshape(2, -1)),
        (keras.layers.Reshape((36, 4)), lambda maps: maps.mean(axis=(1, 2))),
    ],
)
def test_other_ranks(output, expected):
    plain = tiny()
    model = keras.Model(plain.inputs, output(plain.outputs[0]))
    encoder = pretrained(model, None)
    images = IMAGES[:, :8, :8]
    close(np.asarray(encoder(images)), expected(np.asarray(plain(255 * images))))


def test_half_precision_does_not_round_pixels():
    keras.config.set_dtype_policy("mixed_bfloat16")
    encoder = pretrained(tiny(), preprocess_input("resnet50"))
    part = keras.Model(encoder.input, encoder.get_layer("preprocessing").output)
    images = IMAGES[:, :8, :8]
    np.testing.assert_allclose(
        part(images), preprocess_input("resnet50")(255 * images), rtol=1e-4, atol=1e-4
    )


def test_freezing_the_backbone_freezes_the_encoder():
    model = tiny()
    encoder = pretrained(model, None)
    model.trainable = False
    assert encoder.trainable_weights == []
    assert len(encoder.weights) == 2


@pytest.mark.parametrize("images", [IMAGES * 255, (IMAGES - 0.5) / 0.25, IMAGES > 0.5])
def test_images_of_other_ranges(images):
    if images.dtype == bool:
        images = images.astype("uint8")
    model = supcon_tf.LinearClassifier(pretrained(tiny(), None), 2)
    with pytest.raises(ValueError, match=r"in \[0, 1\], which it standardizes.*Received"):
        model.predict(images[:, :8, :8], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: (tiny(), np.sqrt), "`preprocessing` must scale and shift each channel.*Received"),
        (lambda: (keras.layers.Dense(3), None), "`backbone` must be a functional.*Received"),
        (lambda: (keras.Sequential([keras.Input((4,))]), None), "`backbone` must be a functional"),
        (lambda: (tiny(lambda x: [x, x]), None), "`backbone` must return one tensor.*Received"),
        (lambda: (tiny(lambda x: {"a": x}), None), "`backbone` must return one tensor.*Received"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        pretrained(*arguments())


def test_bad_pooling():
    with pytest.raises(ValueError, match="`pooling` must be one of.*'mean'"):
        pretrained(tiny(), None, pooling="mean")


def test_keras_hub(tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    model = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=SHAPE,
    )
    converter = keras_hub.layers.ResNetImageConverter(scale=[0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0])
    encoder = pretrained(model, converter)
    expected = np.asarray(model(255 * IMAGES * [0.1, 0.2, 0.3] + [1, 2, 3])).mean(axis=(1, 2))
    close(np.asarray(encoder(IMAGES)), expected)
    encoder.save(tmp_path / "encoder.keras")
    close(np.asarray(keras.saving.load_model(tmp_path / "encoder.keras")(IMAGES)), expected)
