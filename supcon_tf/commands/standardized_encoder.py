"""Encoders of images in [0, 1], which they standardize."""

from collections.abc import Sequence

import keras


def standardize_pixels(
    encoder: keras.Model, mean: Sequence[float], std: Sequence[float]
) -> keras.Model:
    """Puts a layer that standardizes pixels before an encoder.

    Args:
        encoder: an encoder with a known input shape.
        mean: mean of the pixels in [0, 1], one number per channel.
        std: standard deviation of the pixels, one number per channel.
    """
    return keras.Sequential(
        [
            keras.Input(encoder.input_shape[1:], name="images"),
            keras.layers.Normalization(mean=list(mean), variance=[s**2 for s in std], axis=-1),
            encoder,
        ],
        name="encoder",
    )
