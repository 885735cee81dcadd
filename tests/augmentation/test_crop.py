import math

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug
from supcon_tf.augmentation.crop_windows import draw_windows

RATIO = (3 / 4, 4 / 3)
both_definitions = pytest.mark.parametrize("definition", ["torchvision", "tensorflow"])


def random_images(batch, height, width, channels=3):
    return np.random.default_rng(0).random([batch, height, width, channels]).astype("float32")


def uniform(crops, seed=0):
    return tf.random.stateless_uniform([crops, 4], [seed, 1])


def windows_of(draws, height, width, scale, definition, ratio=RATIO):
    height, width = tf.constant(height), tf.constant(width)  # Python numbers would be compiled in
    return draw_windows(tf.constant(draws), height, width, scale, ratio, definition).numpy()


def torchvision_window(rng, height, width, scale):
    """torchvision's `RandomResizedCrop.get_params`, in NumPy."""
    for _ in range(10):
        pixels = height * width * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        h, w = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
    if width / height < RATIO[0]:
        h, w = round(width / RATIO[0]), width
    elif width / height > RATIO[1]:
        h, w = height, round(height * RATIO[1])
    else:
        h, w = height, width
    return (height - h) // 2, (width - w) // 2, h, w


def tensorflow_window(rng, height, width, scale):
    """TensorFlow's `GenerateRandomCrop` and its use in the official code, in NumPy."""
    least, most = scale[0] * height * width, scale[1] * height * width
    for _ in range(100):
        ratio = rng.uniform(*RATIO)
        lowest, highest = round(math.sqrt(least / ratio)), round(math.sqrt(most / ratio))
        while round(highest * ratio) > width:
            highest -= 1
        highest = min(highest, height)
        h = rng.integers(min(lowest, highest), highest + 1)
        h += h * round(h * ratio) < least
        h -= h * round(h * ratio) > most
        w = round(h * ratio)
        if least <= h * w <= most and h <= height and w <= width and h * w >= 0.1 * height * width:
            if (h, w) == (height, width):
                break
            # The operation's `Uniform(n)` is below n, so the last offset never occurs.
            return rng.integers(max(height - h, 1)), rng.integers(max(width - w, 1)), h, w
    side = min(height, width)
    return (height - side + 1) // 2, (width - side + 1) // 2, side, side


ORACLES = {"torchvision": torchvision_window, "tensorflow": tensorflow_window}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("definition", "height", "width", "scale", "expected"),
    [
        ("torchvision", 375, 500, (0.08, 1.0), 0.432),
        ("tensorflow", 375, 500, (0.08, 1.0), 0.387),
        ("torchvision", 32, 32, (0.2, 1.0), 0.550),
        ("tensorflow", 32, 32, (0.2, 1.0), 0.498),
        ("torchvision", 6, 8, (0.08, 1.0), None),
        ("tensorflow", 6, 8, (0.08, 1.0), None),
        ("torchvision", 20, 36, (0.68, 1.0), None),  # many attempts fail
        ("tensorflow", 20, 36, (0.6, 1.0), None),
    ],
)
def test_windows_have_the_distribution_of_the_reference(definition, height, width, scale, expected):
    windows = windows_of(uniform(100_000), height, width, scale, definition)
    if expected is not None:
        share = np.mean(windows[:, 2] * windows[:, 3]) / (height * width)
        assert share == pytest.approx(expected, abs=0.005)
    rng = np.random.default_rng(0)
    oracle = np.array([ORACLES[definition](rng, height, width, scale) for _ in range(20_000)])
    # Top, left, height, width: the distribution of each.
    for ours, theirs, side in zip(windows.T, oracle.T, (height, width) * 2, strict=True):
        bins = np.arange(side + 2)
        below = [np.cumsum(np.histogram(x, bins)[0]) / len(x) for x in (ours, theirs)]
        assert np.abs(below[0] - below[1]).max() < 0.02  # Kolmogorov-Smirnov: 0.0126 at 1 in 100


def test_fallback_windows_equal_those_of_the_references():
    def window(height, width, definition):
        return windows_of(uniform(1), height, width, (1.0, 1.0), definition)[0]

    # The largest and the smallest allowed aspect ratio.
    np.testing.assert_array_equal(window(20, 90, "torchvision"), [0, 31, 20, 27])
    np.testing.assert_array_equal(window(90, 20, "torchvision"), [31, 0, 27, 20])
    np.testing.assert_array_equal(window(20, 91, "tensorflow"), [0, 36, 20, 20])
    np.testing.assert_array_equal(window(91, 20, "tensorflow"), [36, 0, 20, 20])
    # The first attempt draws the whole image of 16 x 15 pixels, which the square replaces.
    whole = windows_of(uniform(9), 16, 15, (1.0, 1.0), "tensorflow", (15 / 16, 15 / 16))
    np.testing.assert_array_equal(whole, [[1, 0, 15, 15]] * 9)


def test_windows_have_the_mean_of_tensorflows_operation():
    @tf.function
    def shares(seeds):
        def share(seed):
            _, size, _ = tf.image.stateless_sample_distorted_bounding_box(
                [37, 50, 3], tf.zeros([1, 0, 4]), seed, 0.1, RATIO, (0.08, 1.0), 100, True
            )
            return size[0] * size[1] / (37 * 50)

        return tf.map_fn(share, seeds, fn_output_signature=tf.float64)

    expected = shares(tf.stack([tf.range(20_000), tf.ones(20_000, tf.int32)], axis=1))
    windows = windows_of(uniform(100_000), 37, 50, (0.08, 1.0), "tensorflow")
    share = np.mean(windows[:, 2] * windows[:, 3]) / (37 * 50)
    assert share == pytest.approx(expected.numpy().mean(), abs=0.005)


@both_definitions
@pytest.mark.parametrize("side", [(1, 1), (1, 9), (9, 1), (3, 2), (7, 400)])
def test_windows_stay_inside_small_and_long_images(side, definition):
    for scale in ((0.1, 0.1), (0.2, 1.0), (1.0, 1.0)):
        windows = windows_of(uniform(500), *side, scale, definition)
        assert windows[:, :2].min() >= 0
        assert windows[:, 2:].min() >= 1
        assert np.all(windows[:, :2] + windows[:, 2:] <= side)


@pytest.mark.slow
@both_definitions
def test_a_window_depends_only_on_its_draws(definition):
    # Extreme draws, which need several attempts.
    draws = uniform(50).numpy()
    draws[:, 0] = 1 - 2**-23
    arguments = (30, 50, (0.2, 1.0), definition)
    windows = windows_of(draws, *arguments)
    assert len(np.unique(windows, axis=0)) > 25
    one_by_one = [windows_of(draws[i : i + 1], *arguments)[0] for i in range(50)]
    np.testing.assert_array_equal(windows, one_by_one)


def test_attempts_are_independent_of_each_other():
    # The first attempt uses the draws themselves and fails where the area is large. The area of the
    # next attempts must not depend on that.
    windows = windows_of(uniform(100_000), 40, 40, (0.2, 1.0), "torchvision")
    numbers = uniform(100_000).numpy().astype(float)
    root = np.sqrt(1600 * (0.2 + 0.8 * numbers[:, 0]))
    stretch = np.exp(0.5 * (np.log(3 / 4) + numbers[:, 1] * np.log(16 / 9)))
    failed = (np.round(root * stretch) > 40) | (np.round(root / stretch) > 40)
    share = windows[:, 2] * windows[:, 3] / 1600
    assert 0.1 < failed.mean() < 0.4
    assert share[failed].mean() == pytest.approx(share[~failed].mean(), abs=0.005)
    corner = windows[failed, 0] / np.maximum(40 - windows[failed, 2], 1)
    assert corner.mean() == pytest.approx(0.5, abs=0.02)


@both_definitions
def test_a_full_crop_of_the_same_size_is_the_image(definition):
    images = random_images(1, 8, 8)
    crop = aug.RandomResizedCrop(8, (1.0, 1.0), (1.0, 1.0), definition)
    np.testing.assert_allclose(crop(images, tf.fill([1, 4], 0.3)), images, atol=1e-6)


@pytest.mark.parametrize(("top", "left"), [(0.0, 0.0), (0.999999, 0.0), (0.5, 0.999999)])
def test_a_crop_is_the_rectangle_that_was_drawn(top, left):
    # A square of a quarter of an 8 x 8 image: 4 x 4 pixels with offsets from 0 to 4.
    images = random_images(1, 8, 8)
    crop = aug.RandomResizedCrop(4, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    row, column = int(5 * top), int(5 * left)
    expected = images[:, row : row + 4, column : column + 4]
    np.testing.assert_array_equal(crop(images, tf.constant([[0.0, 0.0, top, left]])), expected)


@both_definitions
@pytest.mark.parametrize("size", [1, 8, 40])
def test_crops_are_resized_like_tf_image(size, definition):
    images, draws = random_images(3, 20, 24), uniform(6)
    crop = aug.RandomResizedCrop(np.int64(size), definition=definition)
    windows = windows_of(draws, 20, 24, crop.scale, definition)
    expected = [
        tf.image.resize(images[i // 2, top : top + height, left : left + width], [size, size])
        for i, (top, left, height, width) in enumerate(windows)
    ]
    np.testing.assert_allclose(crop(images, draws), expected, atol=1e-5)
    unknown = tf.function(crop).get_concrete_function(
        tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([6, 4])
    )
    np.testing.assert_allclose(unknown(tf.constant(images), draws), expected, atol=1e-5)


def test_several_crops_of_each_image():
    images, draws = random_images(3, 20, 24), uniform(6)
    crop = aug.RandomResizedCrop(8)
    expected = crop(np.repeat(images, 2, axis=0), draws)
    np.testing.assert_array_equal(crop(images, draws), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "`size` must be an integer.*Received: 0"),
        ({"size": (8, 8)}, r"`size` must be an integer.*Received: \(8, 8\)"),
        ({"scale": (1.0, 0.2)}, r"`scale`.*Received: \(1.0, 0.2\)"),
        ({"scale": (0.2, 2.0)}, r"`scale`.*at most 1.0.*Received: \(0.2, 2.0\)"),
        ({"ratio": (0.0, 1.0)}, r"`ratio`.*Received: \(0.0, 1.0\)"),
        ({"definition": "keras"}, r"`definition` must be one of .*Received: 'keras'"),
        (
            {"scale": (0.01, 0.05), "definition": "tensorflow"},
            r"`scale` must end at 0.1 or above with .*Received: \(0.01, 0.05\)",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        aug.RandomResizedCrop(**{"size": 8, **arguments})
