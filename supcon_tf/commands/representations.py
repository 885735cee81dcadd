"""Computes the representations of images."""

import sys

import keras
import numpy as np

from supcon_tf.data import ImageSource, evaluation_batches


def compute_representations(
    encoder: keras.Model, source: ImageSource, batch_size: int, *, short_side: int | None = None
) -> np.ndarray:
    """Encodes the central squares of images, resized to the input size of the encoder.

    Args:
        encoder: a model from images in [0, 1] to representations.
        source: the images.
        batch_size: number of images in a batch.
        short_side: length in pixels to which the short side of an image is resized before the
            square is cropped; the input size of the encoder by default.

    Returns:
        `[images, dim]` float32.

    Raises:
        ValueError: if the input of the encoder is not a square of a fixed size, or the images have
            another number of channels.
    """
    _, height, width, channels = encoder.input_shape
    if source.channels != channels or height is None or height != width:
        raise ValueError(
            "`encoder` must take square images of a fixed size with the channels of the images. "
            f"Received: an encoder for {encoder.input_shape[1:]}, images of {source.channels} "
            "channels"
        )
    batches = evaluation_batches(source, size=height, short_side=short_side, batch_size=batch_size)
    show_progress = int(sys.stdout.isatty())
    return encoder.predict(batches, verbose=show_progress)
