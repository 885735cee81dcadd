import math

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation as aug


def uniform(images, seed=0):
    return tf.random.stateless_uniform([images, 5], [seed, 1]).numpy()


def torchvision_window(rng, height, width, scale, ratio):
    """torchvision's `RandomErasing.get_params`, in NumPy."""
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
    return 0, 0, 0, 0


def erased_windows(is_erased):
    """Returns top, left, height and width of the erased rectangles, 0 without one."""
    rows, columns = is_erased.any(axis=2), is_erased.any(axis=1)
    # The erased pixels are a rectangle.
    np.testing.assert_array_equal(is_erased, rows[:, :, None] & columns[:, None, :])
    return np.stack([rows.argmax(1), columns.argmax(1), rows.sum(1), columns.sum(1)], axis=1)


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (12, 16, (0.02, 0.33), (0.3, 3.3)),
        (9, 8, (0.7, 1.0), (0.8, 2.0)),  # most attempts fail
    ],
)
def test_windows_have_the_distribution_of_torchvision(height, width, scale, ratio):
    erase = aug.RandomErasing(1.0, scale, ratio, value=1.0)
    images = np.zeros([20_000, height, width, 1], "float32")
    windows = erased_windows(erase(images, uniform(20_000)).numpy()[..., 0] == 1)
    rng = np.random.default_rng(0)
    oracle = np.array([torchvision_window(rng, height, width, scale, ratio) for _ in range(20_000)])
    oracle[(oracle[:, 2:] == 0).any(axis=1)] = 0
    for ours, theirs, side in zip(windows.T, oracle.T, (height, width) * 2, strict=True):
        bins = np.arange(side + 2)
        below = [np.cumsum(np.histogram(x, bins)[0]) / len(x) for x in (ours, theirs)]
        assert np.abs(below[0] - below[1]).max() < 0.02  # Kolmogorov-Smirnov: 0.016 at 1 in 100
    areas = [(x[:, 2] * x[:, 3]).mean() / (height * width) for x in (windows, oracle)]
    assert areas[0] == pytest.approx(areas[1], abs=0.005)


def test_erased_pixels_are_exact():
    # A square of a quarter of 8 x 8 pixels: 4 x 4 pixels with offsets from 0 to 4.
    images = np.random.default_rng(0).random([3, 8, 8, 2]).astype("float32")
    erase = aug.RandomErasing(0.5, (0.25, 0.25), (1.0, 1.0), value=np.array([0.25, 0.75]))
    draws = np.array([[0.4, 0, 0, 0.999, 0.3], [0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0]], "float32")
    expected = images.copy()
    expected[0, 4:, 1:5] = 0.25, 0.75
    expected[2, :4, :4] = 0.25, 0.75
    np.testing.assert_array_equal(erase(images, draws), expected)
    # The same for images of unknown size, in a whole compiled graph.
    compiled = tf.function(
        erase,
        input_signature=[tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, 5])],
        jit_compile=True,
    )
    np.testing.assert_array_equal(compiled(images, draws), expected)


def test_nothing_is_erased_where_no_window_fits():
    images = np.random.default_rng(0).random([4, 1, 5, 3]).astype("float32")
    erased = aug.RandomErasing(1.0, (0.9, 1.0), (1.0, 1.0))(images, uniform(4))
    np.testing.assert_array_equal(erased, images)


def test_the_default_value_and_probability():
    erased = aug.RandomErasing()(np.zeros([2000, 8, 8, 1], "float32"), uniform(2000)).numpy()
    assert set(np.unique(erased)) == {0.0, 0.5}
    assert erased.any(axis=(1, 2, 3)).mean() == pytest.approx(0.5, abs=0.04)


def test_crop_flip_erases_after_the_flip():
    policy = aug.crop_flip(8, erasing=0.25)
    assert policy.transforms == (*aug.crop_flip(8).transforms, aug.RandomErasing(0.25))
    assert aug.crop_flip(8, flip=False).num_draws == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 1.5}, "`probability`.*Received: 1.5"),
        ({"scale": (0.3, 2.0)}, r"`scale`.*at most 1.0.*Received: \(0.3, 2.0\)"),
        ({"ratio": (0.0, 1.0)}, r"`ratio`.*Received: \(0.0, 1.0\)"),
        ({"value": 127}, "`value`.*Received: 127"),
        ({"value": ()}, "`value`.*Received"),
        ({"value": "random"}, "`value`.*Received"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        aug.RandomErasing(**arguments)


def test_bad_arguments_of_a_call_and_a_policy():
    with pytest.raises(ValueError, match=r"`value`.*one number per channel.*\(2, 4, 4, 3\)"):
        aug.RandomErasing(value=(0.1, 0.2))(tf.zeros([2, 4, 4, 3]), uniform(2))
    with pytest.raises(ValueError, match="`erasing` must be a number between 0 and 1.*Received: 2"):
        aug.crop_flip(8, erasing=2)
