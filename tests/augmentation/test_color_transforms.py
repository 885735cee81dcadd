import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug

KEEP = 0.5  # the middle of every range: a factor of 1, a hue rotation of 0


def random_images(batch=2, height=6, width=8, channels=3):
    return np.random.default_rng(0).random([batch, height, width, channels]).astype("float32")


def draws(*values):
    return tf.constant([values], tf.float32)


def test_brightness():
    images = random_images(1)
    jitter = aug.ColorJitter(brightness=0.4, probability=1.0)
    darker = jitter(images, draws(0.0, KEEP, KEEP, KEEP, 0.0, 0.3))
    np.testing.assert_allclose(darker, 0.6 * images, atol=1e-5)


def test_contrast():
    images = 0.3 + 0.4 * random_images(1)
    mean_gray = (images @ np.array([0.299, 0.587, 0.114])).mean()
    jitter = aug.ColorJitter(contrast=0.4, probability=1.0)
    flatter = jitter(images, draws(KEEP, 0.0, KEEP, KEEP, 0.0, 0.3))
    np.testing.assert_allclose(flatter, mean_gray + 0.6 * (images - mean_gray), atol=1e-5)


def test_saturation():
    images = 0.3 + 0.4 * random_images(1)
    gray = (images @ np.array([0.299, 0.587, 0.114], "float32"))[..., None]
    jitter = aug.ColorJitter(saturation=0.4, probability=1.0)
    paler = jitter(images, draws(KEEP, KEEP, 0.0, KEEP, 0.0, 0.3))
    np.testing.assert_allclose(paler, gray + 0.6 * (images - gray), atol=1e-5)


def test_the_tensorflow_definition_equals_tf_image():
    # Each change alone, at both ends of its range, on images with clipped pixels.
    images = tf.clip_by_value(1.6 * random_images(1) - 0.3, 0.0, 1.0)
    images = tf.concat([images, 0 * images, 0 * images + 0.5], axis=0)  # also black and gray
    jitter = aug.ColorJitter(0.4, 0.5, 0.6, 0.2, probability=1.0, definition="tensorflow")
    for place, change in enumerate(
        (
            lambda x, draw: tf.image.adjust_brightness(x, 0.8 * draw - 0.4),
            lambda x, draw: tf.image.adjust_contrast(x, 0.5 + draw),
            lambda x, draw: tf.image.adjust_saturation(x, 0.4 + 1.2 * draw),
            lambda x, draw: tf.image.adjust_hue(x, 0.4 * draw - 0.2),
        )
    ):
        for draw in (0.0, 0.999999):
            drawn = np.full([3, 6], KEEP, "float32")
            drawn[:, 4], drawn[:, place] = 0.0, draw
            expected = tf.clip_by_value(change(images, draw), 0.0, 1.0)
            np.testing.assert_allclose(jitter(images, drawn), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_tensorflow_definition_adds_brightness(channels):
    images = 0.3 + 0.4 * random_images(1, channels=channels)
    drawn = draws(0.0, KEEP, KEEP, KEEP, 0.0, 0.3)
    jitter = aug.ColorJitter(0.3, probability=1.0, definition="tensorflow")
    np.testing.assert_allclose(jitter(images, drawn), images - 0.3, atol=1e-5)
    with pytest.raises(ValueError, match="`definition` must be one of .*Received: 'keras'"):
        aug.ColorJitter(definition="keras")


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999999])
def test_hue(draw):
    images = random_images(1, 2, 2)
    rotated = aug.ColorJitter(hue=0.2, probability=1.0)(
        images, draws(KEEP, KEEP, KEEP, draw, 0.0, 0.3)
    )
    rotation = 0.4 * draw - 0.2
    for pixel, actual in zip(images.reshape(-1, 3), rotated.numpy().reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel.tolist())
        expected = colorsys.hsv_to_rgb((hue + rotation) % 1, saturation, value)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_jitter_has_a_probability_and_keeps_the_range():
    images = random_images(500)
    drawn = np.random.default_rng(1).random([500, 6]).astype("float32")
    jittered = aug.ColorJitter(0.8, 0.8, 0.8, 0.2, probability=0.8)(images, tf.constant(drawn))
    same = np.all(jittered == images, axis=(1, 2, 3))
    np.testing.assert_array_equal(same, drawn[:, 4] >= 0.8)
    assert jittered.numpy().min() >= 0
    assert jittered.numpy().max() <= 1


def test_jitter_applies_its_changes_in_every_order():
    # Clipped changes do not commute, so the 24 orders have different results.
    image = random_images(1)
    luma = np.array([0.299, 0.587, 0.114], "float32")

    def blend(x, other, factor):
        return np.clip(other + factor * (x - other), 0, 1)

    def hue(x):
        pixels = [colorsys.rgb_to_hsv(*pixel) for pixel in x.reshape(-1, 3).tolist()]
        rotated = [colorsys.hsv_to_rgb((h + 0.2) % 1, s, v) for h, s, v in pixels]
        return np.array(rotated, "float32").reshape(x.shape)

    changes = [
        lambda x: blend(x, 0, 1.8),
        lambda x: blend(x, (x @ luma).mean(), 1.8),
        lambda x: blend(x, (x @ luma)[..., None], 1.8),
        hue,
    ]
    drawn = [[1.0, 1.0, 1.0, 1.0, 0.0, (k + 0.5) / 24] for k in range(24)]
    jitter = aug.ColorJitter(0.8, 0.8, 0.8, 0.2, probability=1.0)
    jittered = jitter(np.tile(image, [24, 1, 1, 1]), tf.constant(drawn)).numpy()
    for order, actual in zip(itertools.permutations(changes), jittered, strict=True):
        expected = image[0]
        for change in order:
            expected = change(expected)
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_jitter_of_gray_images_changes_brightness_and_contrast_only():
    images = random_images(1, channels=1)
    jitter = aug.ColorJitter(0.4, 0.4, 0.4, 0.1, probability=1.0)
    jittered = jitter(images, draws(0.0, KEEP, 0.0, 0.0, 0.0, 0.3))
    np.testing.assert_allclose(jittered, 0.6 * images, atol=1e-5)


def test_grayscale():
    images = random_images(2)
    grayed = aug.RandomGrayscale(0.2)(images, tf.constant([[0.1], [0.3]])).numpy()
    luma = images[0] @ np.array([0.299, 0.587, 0.114], "float32")
    for channel in range(3):
        np.testing.assert_allclose(grayed[0, ..., channel], luma, atol=1e-6)
    np.testing.assert_array_equal(grayed[1], images[1])


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (aug.ColorJitter, {"brightness": -0.1}),
        (aug.ColorJitter, {"hue": float("nan")}),
        (aug.ColorJitter, {"probability": 1.5}),
        (aug.RandomGrayscale, {"probability": -0.5}),
        (aug.RandomHorizontalFlip, {"probability": 2}),
        (aug.RandomGaussianBlur, {"kernel_size": 3, "probability": 2}),
        (aug.RandomGaussianBlur, {"kernel_size": 3, "sigma": 2}),
    ],
)
def test_strengths_and_probabilities_out_of_range(make, arguments):
    argument, value = list(arguments.items())[-1]
    with pytest.raises(ValueError, match=f"`{argument}` must be .* Received: {value}"):
        make(**arguments)
