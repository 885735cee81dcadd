"""The implemented corruptions agree with the code of the benchmark."""

import gc
import pathlib

import numpy as np
import pytest

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("cv2")
pytest.importorskip("skimage")

from experiments.lib import corruptions  # noqa: E402  (skipped without)

BENCHMARK = dict(np.load(pathlib.Path(__file__).parents[1] / "data" / "imagenet_c.npz"))


def image():
    """Returns the input of the benchmark's code, with coarse and fine structures."""
    y, x, c = np.meshgrid(np.arange(224), np.arange(224), np.arange(3), indexing="ij")
    pixels = 128 + 60 * np.sin(y / 9 + c) + 50 * np.cos(x * y / 900 - c)
    return np.rint(pixels).astype(np.uint8)


@pytest.mark.parametrize("name", BENCHMARK)
def test_values_are_those_of_the_benchmark(name):
    """The benchmark truncates to integers, this module rounds."""
    for severity in corruptions.SEVERITIES:
        corrupted = corruptions.corrupt(image(), name, severity, [7])
        expected = BENCHMARK[name][severity - 1]
        np.testing.assert_allclose(corrupted[::37, ::37], expected, atol=1.01)


def box(pixels, size):
    """Resizes rows with a box filter: the mean of the rows whose center is in the new row."""
    scale = len(pixels) / size
    distances = (np.arange(size)[:, None] + 0.5) * scale - (np.arange(len(pixels)) + 0.5)
    weights = np.abs(distances) <= max(scale, 1) / 2
    return weights @ pixels / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(32, 44), (3, 8)])
@pytest.mark.parametrize(
    ("severity", "factor"), [(1, 0.6), (2, 0.5), (3, 0.4), (4, 0.3), (5, 0.25)]
)
def test_pixels_are_boxes(size, severity, factor):
    pixels = np.random.default_rng(0).integers(0, 256, [*size, 1], np.uint8)
    expected = pixels[..., 0].astype(float)
    for axis in (0, 1):
        fewer = max(1, int(size[axis] * factor))
        expected = np.moveaxis(box(box(np.moveaxis(expected, axis, 0), fewer), size[axis]), 0, axis)
    actual = corruptions.corrupt(pixels, "pixelate", severity, [0])
    np.testing.assert_allclose(actual[..., 0], expected, atol=1.01)


def test_fog_covers_a_large_image():
    gray = np.full([300, 260, 3], 100, np.uint8)
    foggy = corruptions.corrupt(gray, "fog", 3, [0])
    # (0.39 + 2.5 plasma) * 0.39 / (0.39 + 2.5), with a plasma from 0 to 1
    assert foggy.min() >= 255 * 0.392 * 0.392 / 2.892 - 1
    assert foggy.max() <= 100
    assert np.ptp(foggy[-40:]) > 10


def test_a_corruption_leaves_no_garbage():
    image = np.zeros([8, 8, 3], np.uint8)
    corruptions.corrupt(image, "elastic_transform", 1, [0])
    gc.disable()
    try:
        gc.collect()
        corruptions.corrupt(image, "elastic_transform", 1, [0])
        assert gc.collect() < 10  # an error with its frames is more than 50 objects
    finally:
        gc.enable()
