import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

from supcon_tf import augmentation as aug


def random_images(batch, height, width, channels=3):
    return np.random.default_rng(0).random([batch, height, width, channels]).astype("float32")


@pytest.mark.parametrize(("kernel_size", "draw"), [(3, 0.0), (7, 0.5), (23, 0.999)])
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_a_convolution_with_a_gaussian(kernel_size, draw, channels):
    images = random_images(1, 24, 31, channels)
    sigma = 0.1 + 1.9 * draw
    offsets = np.arange(kernel_size) - kernel_size // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    expected = images[0]
    for axis in (0, 1):
        expected = ndimage.convolve1d(expected, kernel, axis=axis, mode="constant")
    blur = aug.RandomGaussianBlur(kernel_size)
    np.testing.assert_allclose(blur(images, tf.constant([[0.4, draw]]))[0], expected, atol=1e-5)


def test_blur_leaves_some_images_alone():
    images = random_images(3, 12, 12)
    drawn = tf.constant([[0.49, 0.9], [0.5, 0.9], [0.9, 0.9]])
    blurred = aug.RandomGaussianBlur(5)(images, drawn)
    changed = [not np.array_equal(*pair) for pair in zip(blurred, images, strict=True)]
    assert changed == [True, False, False]


@pytest.mark.parametrize("kernel_size", [0, 4, -1])
def test_blur_needs_an_odd_kernel(kernel_size):
    with pytest.raises(ValueError, match=f"odd number. Received: {kernel_size}"):
        aug.RandomGaussianBlur(kernel_size)


def coordinates(height, width):
    """One image whose first two channels are its row and column."""
    rows, columns = np.indices([height, width])
    return np.stack([rows, columns, 0 * rows], -1)[None].astype("float32")


def test_a_warp_with_one_displacement_for_all_points_is_a_shift():
    # The normal quantile of 0.841345 is 1; a length of 0.5 * 6.
    drawn = tf.constant([[0.0, 0.5] + [0.8413447, 0.1586553] * 4])
    warped = aug.RandomWarp(6.0, 1.0)(coordinates(24, 30), drawn)[0].numpy()
    rows, columns = np.indices([24, 30])
    np.testing.assert_allclose(warped[..., 0], np.clip(rows - 3, 0, 23), atol=1e-2)
    np.testing.assert_allclose(warped[..., 1], np.clip(columns + 3, 0, 29), atol=1e-2)


def test_a_warp_moves_each_control_point_to_its_target():
    # What was at a third of the image is seen where the point went, and smoothly around it.
    drawn = np.random.default_rng(3).random([1, 10]).astype("float32")
    drawn[0, 0] = 0.0
    moves = drawn[0, 1] * 9.0 * stats.norm.ppf(drawn[0, 2:]).reshape(4, 2)
    warped = aug.RandomWarp(9.0, 1.0)(coordinates(90, 120), tf.constant(drawn))[0].numpy()
    points = np.array([[i * 30, j * 40] for i in (1, 2) for j in (1, 2)])
    for point, move in zip(points, moves, strict=True):
        there = point + move
        seen = [ndimage.map_coordinates(warped[..., k], there[:, None], order=1) for k in (0, 1)]
        np.testing.assert_allclose(np.ravel(seen), point, atol=0.05)


def test_warp_without_displacement_or_not_drawn_changes_nothing():
    images = random_images(2, 12, 12)
    drawn = np.full([2, 10], 0.7, "float32")
    drawn[0, 1] = 0.0  # a length of 0
    drawn[0, 0] = 0.1
    warped = aug.RandomWarp(5.0, 0.5)(images, tf.constant(drawn))
    np.testing.assert_allclose(warped, images, atol=1e-5)
    other = aug.RandomWarp(5.0, 0.8)(images, tf.constant(drawn))
    assert not np.allclose(other[1], images[1], atol=0.1)


def test_warp_stays_finite_where_draws_are_extreme():
    drawn = tf.constant([[0.0] + [0.0] * 9, [0.0] + [1 - 2**-24] * 9])
    warped = aug.RandomWarp(5.0, 1.0)(random_images(2, 12, 12), drawn).numpy()
    assert np.all((warped >= 0) & (warped <= 1))
