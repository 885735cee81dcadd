"""What an encoder makes of images."""

import sys

import keras
import numpy as np

from supcon_tf.data import ImageSource, image_batches


def of_images(
    encoder: keras.Model, source: ImageSource, batch_size: int, *, short_side: int | None = None
) -> np.ndarray:
    """Embeds the central squares of images, in the size that the encoder takes.

    Args:
        encoder: a model from images in [0, 1] to representations.
        source: the images.
        batch_size: images at the same time.
        short_side: what an image's short side is resized to before; the encoder's size by default.

    Returns:
        `[images, dim]` float32.

    Raises:
        ValueError: if the encoder does not take square images of one size, or takes more or fewer
            channels than the images have.
    """
    _, height, width, channels = encoder.input_shape
    if source.channels != channels or height is None or height != width:
        raise ValueError(
            "`encoder` must take square images of one size, of as many channels as there are. "
            "Received: an "
            f"encoder for {encoder.input_shape[1:]}, images of {source.channels} channels"
        )
    batches = image_batches(source, size=height, short_side=short_side, batch_size=batch_size)
    return encoder.predict(batches, verbose=int(sys.stdout.isatty()))  # with the time left
