import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from supcon_tf.augmentation import color_ops


def uint8_images():
    rng = np.random.default_rng(0)
    gradient = np.indices([24, 40]).sum(0)[..., None] * [2, 3, 1] + [20, 0, 90]
    return {
        "noise": rng.integers(0, 256, [24, 40, 3], dtype=np.uint8),
        "narrow": rng.integers(100, 113, [24, 40, 3], dtype=np.uint8),
        "gradient": np.clip(gradient, 0, 255).astype(np.uint8),
        "two values": np.where(rng.random([24, 40, 3]) < 0.9, 7, 201).astype(np.uint8),
        "flat": np.full([24, 40, 3], 77, np.uint8),
        "few pixels": rng.integers(0, 256, [5, 6, 3], dtype=np.uint8),
    }


IMAGES = uint8_images()
both_kinds = pytest.mark.parametrize("channels", [1, 3])
all_images = pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)


def check(image, channels, ours, pillows, tolerance=0):
    image = image[..., :channels]
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    expected = np.asarray(pillows(picture)).reshape(image.shape).astype(int)
    actual = ours(tf.constant(image))
    assert actual.dtype == tf.uint8
    np.testing.assert_allclose(actual.numpy().astype(int), expected, atol=tolerance)


@all_images
@both_kinds
def test_operations_without_argument(image, channels):
    check(image, channels, color_ops.equalize, ImageOps.equalize)
    check(image, channels, color_ops.invert, ImageOps.invert)
    # Pillow multiplies by a rounded quotient and truncates, which can be one level less.
    check(image, channels, color_ops.autocontrast, ImageOps.autocontrast, tolerance=1)


def test_autocontrast_reaches_both_ends():
    for image in (IMAGES["narrow"], IMAGES["gradient"]):
        stretched = color_ops.autocontrast(tf.constant(image)).numpy()
        np.testing.assert_array_equal(stretched.min((0, 1)), 0)
        np.testing.assert_array_equal(stretched.max((0, 1)), 255)


@both_kinds
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_posterize(channels, bits):
    check(
        IMAGES["noise"],
        channels,
        lambda x: color_ops.posterize(x, bits),
        lambda x: ImageOps.posterize(x, bits),
    )


def test_posterize_keeps_at_least_one_bit():
    image = tf.constant(IMAGES["noise"])
    np.testing.assert_array_equal(color_ops.posterize(image, 0), color_ops.posterize(image, 1))


@both_kinds
@pytest.mark.parametrize("threshold", [0, 51, 128, 255, 256])
def test_solarize(channels, threshold):
    check(
        IMAGES["noise"],
        channels,
        lambda x: color_ops.solarize(x, threshold),
        lambda x: ImageOps.solarize(x, threshold),
    )


def test_solarize_add():
    image = np.array([[[0, 27, 127], [128, 200, 255]]], np.uint8)
    np.testing.assert_array_equal(
        color_ops.solarize_add(image, 110), [[[110, 137, 237], [128, 200, 255]]]
    )
    np.testing.assert_array_equal(color_ops.solarize_add(image[..., 2:], 200)[0, 0], [255])


@both_kinds
@pytest.mark.parametrize("factor", [0.1, 0.64, 1.9])
@pytest.mark.parametrize(
    ("ours", "pillows"),
    [
        (color_ops.color, ImageEnhance.Color),
        (color_ops.contrast, ImageEnhance.Contrast),
        (color_ops.brightness, ImageEnhance.Brightness),
        (color_ops.sharpness, ImageEnhance.Sharpness),
    ],
    ids=["color", "contrast", "brightness", "sharpness"],
)
def test_enhancements(channels, factor, ours, pillows):
    for name in ("noise", "gradient", "few pixels"):
        check(
            IMAGES[name],
            channels,
            lambda x: ours(x, factor),
            lambda x: pillows(x).enhance(factor),
            tolerance=1,
        )


@pytest.mark.slow
def test_compiled_operations_differ_by_one_level_at_most():
    def each(image):
        fixed = (color_ops.autocontrast, color_ops.equalize, color_ops.invert)
        enhance = (color_ops.color, color_ops.contrast, color_ops.brightness, color_ops.sharpness)
        results = [function(image) for function in fixed]
        results += [function(image, 1.54) for function in enhance]
        results += [color_ops.posterize(image, 2.0), color_ops.solarize(image, 77.0)]
        return tf.cast(tf.stack(results), tf.int32)

    image = tf.constant(IMAGES["noise"])
    compiled = tf.function(each, jit_compile=True)(image)
    np.testing.assert_allclose(compiled, each(image), atol=1)
