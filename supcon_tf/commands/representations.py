"""Computes the representations of images."""

import sys
from collections.abc import Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from supcon_tf.data import ImageSource, evaluation_batches
from supcon_tf.models.encoding import build_encoding


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
    size = check_encoder(encoder, source)
    batches = evaluation_batches(source, size=size, short_side=short_side, batch_size=batch_size)
    show_progress = int(sys.stdout.isatty())
    return encoder.predict(batches, verbose=show_progress)


def encode_batches(
    encoder: keras.Model, source: ImageSource, batch_size: int, batches: Sequence[int]
) -> Iterator[NDArray[np.float32]]:
    """Encodes batches of images as `compute_representations` does, but keeps none in memory.

    Every replica of the encoder encodes whole batches, so the representations do not depend on the
    number of replicas.

    Args:
        encoder: a model from images in [0, 1] to representations.
        source: the images.
        batch_size: number of images in a batch, on each replica.
        batches: numbers of the batches to encode, from 0.

    Yields:
        `[batch, dim]` float32, for each of `batches`.

    Raises:
        ValueError: as `compute_representations`.
    """
    images = evaluation_batches(
        source, size=check_encoder(encoder, source), batch_size=batch_size, batches=batches
    ).map(lambda images, _: images)
    yield from build_encoding(encoder)(images)


def check_encoder(encoder: keras.Model, source: ImageSource) -> int:
    """Returns the input size of an encoder.

    Raises:
        ValueError: if it cannot encode the images.
    """
    _, height, width, channels = encoder.input_shape
    if source.channels != channels or height is None or height != width:
        raise ValueError(
            "`encoder` must take square images of a fixed size with the channels of the images. "
            f"Received: an encoder for {encoder.input_shape[1:]}, images of {source.channels} "
            "channels"
        )
    return height
