import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from supcon_tf.commands.image_files import (
    load_for_training,
    preprocess,
    read_pixels,
    summarize,
)
from supcon_tf.commands.settings import DataSummary, choose_settings
from supcon_tf.data import ArrayImages, EncodedImages, evaluation_batches

RNG = np.random.default_rng(0)
SUMMARY = DataSummary(
    images=40,
    unlabelled=0,
    classes=2,
    short_side=16,
    channels=3,
    pixel_mean=(0.5, 0.5, 0.5),
    pixel_std=(0.2, 0.2, 0.2),
    gpu=False,
)
SETTINGS = choose_settings(SUMMARY)  # views of 16 pixels


def write(path, height, width, channels=3, **options):
    pixels = RNG.integers(0, 256, [height, width, channels], np.uint8)
    Image.fromarray(pixels.squeeze()).save(path, **options)
    return pixels


def test_images_of_one_size_are_decoded_once(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    pixels = [write(path, 20, 24) for path in paths]
    source = load_for_training(paths, np.array([0, 1, -1]), 2, SETTINGS)
    assert isinstance(source, ArrayImages)
    np.testing.assert_array_equal(source.images, pixels)
    assert source.labels.tolist() == [0, 1, -1]


def test_large_images_are_reduced_to_twice_the_size_of_a_view(tmp_path):
    paths = [tmp_path / "large.jpg", tmp_path / "small.png"]
    Image.fromarray(np.full([100, 200, 3], (250, 120, 10), np.uint8)).save(paths[0])
    small = write(paths[1], 18, 30)
    source = load_for_training(paths, np.array([0, 1]), 2, SETTINGS)
    assert isinstance(source, EncodedImages)
    large, kept = (tf.io.decode_image(record).numpy() for record in source.records)
    assert large.shape == (32, 64, 3)
    assert np.abs(large.astype(int) - (250, 120, 10)).max() <= 3
    np.testing.assert_array_equal(kept, small)


def test_gray_images_stay_gray(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    pixels = [write(path, 10, 12 + 2 * number, 1) for number, path in enumerate(paths)]
    summary = summarize(paths, unlabelled=3, classes=2)
    assert (summary.channels, summary.short_side, summary.unlabelled) == (1, 10, 3)
    scaled = [each / 255 for each in pixels]
    mean = np.mean([each.mean() for each in scaled])
    assert summary.pixel_mean == pytest.approx((mean,), abs=1e-4)
    std = np.sqrt(np.mean([each.var() for each in scaled]))
    assert summary.pixel_std == pytest.approx((std,), abs=1e-4)
    settings = dataclasses.replace(SETTINGS, channels=1)
    assert load_for_training(paths, np.array([0, 1]), 2, settings).channels == 1
    write(paths[0], 10, 12)
    assert summarize(paths, unlabelled=0, classes=2).channels == 3


def test_pixels_are_those_of_evaluation_batches(tmp_path):
    path = tmp_path / "1.png"
    write(path, 21, 30)
    source = EncodedImages([str(path)], [0], ["a"], read=tf.io.read_file)
    batches = evaluation_batches(source, size=16, batch_size=1, short_side=18)
    settings = dataclasses.replace(SETTINGS, short_side=18)
    np.testing.assert_allclose(read_pixels(path, settings), next(iter(batches))[0][0], atol=1e-6)


def test_photos_are_upright(tmp_path):
    pixels = np.zeros([32, 32, 3], np.uint8)
    pixels[:, :16] = 255  # The left half is white.
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise by a quarter: the upper half is white.
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    upright = preprocess(tf.constant(file.getvalue()), size=32, short_side=32, channels=3)
    assert upright[:14].numpy().min() > 0.9
    assert upright[18:].numpy().max() < 0.1


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "notes.png").write_text("some text")
    with pytest.raises(ValueError, match=r"notes.png cannot be .*Received: Unknown image"):
        read_pixels(tmp_path / "notes.png", SETTINGS)
    with pytest.raises(ValueError, match=r"missing.png cannot be read"):
        load_for_training([tmp_path / "missing.png"], np.array([0]), 1, SETTINGS)
