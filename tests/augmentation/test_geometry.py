import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import geometry

IMAGE = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1)
F = 128


def check(actual, expected):
    assert actual.dtype == tf.uint8
    np.testing.assert_array_equal(actual[..., 0], expected)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (1.0, [[2, 3, 4, F], [6, 7, 8, F], [10, 11, 12, F]]),
        (-2.0, [[F, F, 1, 2], [F, F, 5, 6], [F, F, 9, 10]]),
        (1000.0, [[F] * 4] * 3),
    ],
)
def test_translate_x(pixels, expected):
    check(geometry.translate_x(IMAGE, pixels), expected)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (1.0, [[5, 6, 7, 8], [9, 10, 11, 12], [F] * 4]),
        (-1.0, [[F] * 4, [1, 2, 3, 4], [5, 6, 7, 8]]),
    ],
)
def test_translate_y(pixels, expected):
    check(geometry.translate_y(IMAGE, pixels), expected)


def test_shear():
    check(geometry.shear_x(IMAGE, 1.0), [[1, 2, 3, 4], [6, 7, 8, F], [11, 12, F, F]])
    check(geometry.shear_x(IMAGE, -1.0), [[1, 2, 3, 4], [F, 5, 6, 7], [F, F, 9, 10]])
    check(geometry.shear_y(IMAGE, 1.0), [[1, 6, 11, F], [5, 10, F, F], [9, F, F, F]])
    # Shifts are rounded: a third of a pixel in the second row to 0, two thirds to 1.
    check(geometry.shear_x(IMAGE, 0.33), [[1, 2, 3, 4], [5, 6, 7, 8], [10, 11, 12, F]])


def test_rotate():
    square = np.random.default_rng(0).integers(0, 256, [5, 5, 3], dtype=np.uint8)
    for quarters in range(-3, 4):
        turned = geometry.rotate(square, 90.0 * quarters)
        np.testing.assert_array_equal(turned, np.rot90(square, quarters))
    check(geometry.rotate(IMAGE, 180.0), IMAGE[::-1, ::-1, 0])
    np.testing.assert_array_equal(geometry.rotate(IMAGE, 0.0), IMAGE)


def test_rotate_fills_corners_and_keeps_the_middle():
    white = np.full([21, 21, 3], 255, np.uint8)
    turned = geometry.rotate(white, 30.0).numpy()
    for row in (0, -1):
        for column in (0, -1):
            np.testing.assert_array_equal(turned[row, column], [F] * 3)
    np.testing.assert_array_equal(turned[7:14, 7:14], 255)


@pytest.mark.parametrize("degrees", [30.0, -17.0])
def test_rotate_turns_a_point_by_the_angle(degrees):
    image = np.zeros([41, 41, 1], np.uint8)
    image[19:22, 34:37] = 255  # 15 pixels to the right of the center
    row, column = np.nonzero(geometry.rotate(image, degrees).numpy()[..., 0] == 255)
    angle = np.rad2deg(np.arctan2(20 - row.mean(), column.mean() - 20))
    assert angle == pytest.approx(degrees, abs=2)


def test_cutout():
    image = np.zeros([6, 8, 3], np.uint8)
    expected = np.zeros([6, 8, 3], np.uint8)
    expected[1:5, 2:6] = F  # a center at row 3, column 4
    np.testing.assert_array_equal(geometry.cutout(image, 2, 0.5, 0.5), expected)
    corner = np.zeros([6, 8, 3], np.uint8)
    corner[:2, 6:] = F  # a center at row 0, column 8 - 1
    np.testing.assert_array_equal(geometry.cutout(image, 2, 0.0, 0.999)[:, 6:], corner[:, 6:])
    np.testing.assert_array_equal(geometry.cutout(image, 0, 0.5, 0.5), image)
