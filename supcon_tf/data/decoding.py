"""Decoding of encoded images."""

import dataclasses

import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.data.orientation import turn_upright

# The largest value of a pixel, which becomes 1.
LARGEST_VALUES = {"uint8": 255, "uint16": 65535}


@dataclasses.dataclass(frozen=True)
class PixelFormat:
    """The pixels to which images are decoded.

    Args:
        channels: 1 (gray), 3 (RGB) or 4 (RGBA, or four channels of any other meaning).
        dtype: `"uint8"` or `"uint16"`.

    Raises:
        ValueError: if an argument is not one of these.
    """

    channels: int = 3
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        check_choice("channels", self.channels, (1, 3, 4))
        check_choice("dtype", self.dtype, tuple(LARGEST_VALUES))


def decode(contents: tf.Tensor, pixels: PixelFormat) -> tf.Tensor:
    """Decodes the bytes of an image in any format that TensorFlow supports.

    A GIF is decoded to its first frame. TensorFlow 2.19 supports neither WebP nor JPEG XL. A JPEG
    is turned upright by the orientation in its EXIF header. Images of 16 bits or four channels must
    be PNG files.

    Args:
        contents: scalar string.
        pixels: the format of the pixels.

    Returns:
        `[height, width, channels]` of the dtype. Height and width are not static.

    Raises:
        tf.errors.InvalidArgumentError: if TensorFlow cannot decode the image.
    """
    if pixels.channels == 4 or pixels.dtype == "uint16":
        return tf.io.decode_png(contents, pixels.channels, tf.dtypes.as_dtype(pixels.dtype))
    image = tf.cond(
        _has_fixed_channels(contents),
        lambda: _decode_own_channels(contents),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    image = tf.ensure_shape(turn_upright(image, contents), [None, None, 3])
    # TensorFlow cannot decode all formats to gray.
    return image if pixels.channels == 3 else tf.image.rgb_to_grayscale(image)


def _has_fixed_channels(contents: tf.Tensor) -> tf.Tensor:
    """Returns whether TensorFlow can decode an image only to its own number of channels.

    Returns `False` for an animated WebP. TensorFlow 2.21 ends the process if it decodes one to its
    own number of channels, and raises an error if it decodes one to 3 channels.
    """
    header = tf.io.decode_raw(contents, tf.uint8, fixed_length=21)

    def has(signature: bytes, position: int) -> tf.Tensor:
        return tf.reduce_all(header[position : position + len(signature)] == list(signature))

    # https://developers.google.com/speed/webp/docs/riff_container
    animated = has(b"VP8X", 12) & (tf.bitwise.bitwise_and(header[20], 2) > 0)
    webp = has(b"RIFF", 0) & has(b"WEBP", 8) & ~animated
    jpeg_xl = has(b"\xff\x0a", 0) | has(b"\x00\x00\x00\x0cJXL ", 0)
    return webp | jpeg_xl


def _decode_own_channels(contents: tf.Tensor) -> tf.Tensor:
    """Decodes gray or RGB images, with or without alpha, to RGB."""
    image = tf.io.decode_image(contents, channels=0, expand_animations=False)
    gray = tf.shape(image)[-1] < 3
    return tf.gather(image, tf.where(gray, [0, 0, 0], [0, 1, 2]), axis=-1)
