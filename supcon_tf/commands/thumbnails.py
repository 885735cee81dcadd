"""Small pictures of image files inside a page."""

import base64
import pathlib

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.augmentation import resize
from supcon_tf.commands.markup import Markup, element
from supcon_tf.data.decoding import PixelFormat, decode

_SIDE = 128  # pixels


def thumbnail(path: pathlib.Path, description: str) -> Markup:
    """Returns the central square of an image, or a text in its place if it cannot be read.

    Args:
        path: the image.
        description: what the image is, for those who do not see it.
    """
    try:
        image = decode(tf.io.read_file(str(path)), PixelFormat())
    except tf.errors.NotFoundError:
        return _frame("The file is missing")
    except tf.errors.OpError:
        return _frame("The file cannot be read")
    side = min(_SIDE, *image.shape[:2])
    square = resize(tf.cast(image[None], tf.float32), side)[0]
    return _frame(
        element(
            "img",
            src=png_address(tf.cast(tf.round(tf.clip_by_value(square, 0, 255)), tf.uint8).numpy()),
            alt=description,
            class_="small" if side < _SIDE / 2 else None,
        )
    )


def png_address(pixels: NDArray[np.uint8]) -> str:
    """Returns an image `[height, width, channels]` as an address that contains it."""
    png = tf.io.encode_png(pixels).numpy()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _frame(content: str) -> Markup:
    return element("div", content, class_="picture")
