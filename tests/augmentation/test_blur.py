import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

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


def test_blur_has_a_probability():
    images = random_images(3, 12, 12)
    draws = tf.constant([[0.49, 0.9], [0.5, 0.9], [0.9, 0.9]])
    blurred = aug.RandomGaussianBlur(5)(images, draws)
    changed = [not np.array_equal(*pair) for pair in zip(blurred, images, strict=True)]
    assert changed == [True, False, False]


@pytest.mark.parametrize("kernel_size", [0, 4, -1])
def test_blur_needs_an_odd_kernel(kernel_size):
    with pytest.raises(ValueError, match=f"odd number. Received: {kernel_size}"):
        aug.RandomGaussianBlur(kernel_size)
