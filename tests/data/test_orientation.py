import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from supcon_tf.data.decoding import PixelFormat, decode
from supcon_tf.data.orientation import read_orientation

PIXELS = np.random.default_rng(0).integers(0, 255, [16, 24, 3], np.uint8)
TAG = 0x0112


def encode(orientation, **fields):
    exif = Image.Exif()
    exif[0x010F] = "a camera"  # an entry before the orientation
    exif[TAG] = orientation
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=exif, quality=95, **fields)
    return file.getvalue()


def to_little_endian(contents):
    """Replaces the big-endian header that Pillow writes by one of another camera."""
    start = contents.index(b"Exif\0\0") + 6
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"
    length = int.from_bytes(contents[start - 8 : start - 6], "big") - 8
    assert contents[start : start + 2] == b"MM" and len(tiff) <= length
    return contents[:start] + tiff.ljust(length, b"\0") + contents[start + length :]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_as_with_pillow(orientation):
    contents = encode(orientation)
    image = Image.open(io.BytesIO(contents))
    image = np.asarray(ImageOps.exif_transpose(image))
    decoded = tf.function(decode)(contents, PixelFormat()).numpy()
    assert decoded.shape == image.shape
    # The decoders differ in how they upsample colors.
    assert np.abs(decoded.astype(int) - image).mean() < 3
    np.testing.assert_array_equal(decode(tf.constant(contents), PixelFormat()), decoded)


def test_headers_of_other_cameras():
    contents = encode(8)
    assert read_orientation(tf.constant(to_little_endian(contents))) == 6
    with_comment = encode(8, comment=b"before or after the header")
    assert read_orientation(tf.constant(with_comment)) == 8
    assert contents[2:4] == b"\xff\xe0"  # Pillow writes the segment of JFIF first.
    assert read_orientation(tf.constant(contents[:2] + contents[20:])) == 8


def test_without_an_intact_header_the_image_is_not_turned():
    contents = encode(6)
    start = contents.index(b"Exif\0\0")
    png = tf.io.encode_png(PIXELS).numpy()
    damaged = contents[:start] + b"\xff" * 40 + contents[start + 40 :]
    for other in (png, b"", b"\xff\xd8\xff\xe1", contents[: start + 12], damaged, encode(9)):
        assert read_orientation(tf.constant(other)) == 1
    random = np.random.default_rng(0)
    for _ in range(20):
        garbage = random.integers(0, 256, 60, np.uint8).tobytes()
        read_orientation(tf.constant(contents[: start + 6] + garbage))
