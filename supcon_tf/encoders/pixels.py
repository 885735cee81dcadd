"""The range of the pixels that the encoders of this library take."""

from typing import Any

import keras
import numpy as np

# Standardized pixels are from about -3 to 3, and those of integer images from 0 to 255.
_LARGEST = 10


@keras.saving.register_keras_serializable(package="supcon_tf")
class Pixels(keras.layers.Identity):
    """Returns its inputs, and marks a model that takes images in [0, 1] or standardized images.

    The mark is a layer, so it remains when the model is copied, saved and loaded. A model that
    scales its images before it calls a marked model has no mark itself.
    """


def takes_pixels(encoder: keras.Model) -> bool:
    """Returns whether the inputs of an encoder go straight to the layer `Pixels`."""
    return any(isinstance(layer, Pixels) for layer in getattr(encoder, "layers", ()))


def check_pixels(images: Any, encoder: keras.Model) -> None:
    """Checks that images have the range that a marked encoder takes.

    Args:
        images: an array or an eager tensor.
        encoder: the encoder, for the error.

    Raises:
        ValueError: if the images are integers or have a pixel above 10.
    """
    pixels = np.asarray(images)
    if np.issubdtype(pixels.dtype, np.integer):
        received = f"images of dtype {pixels.dtype}"
    elif pixels.size and pixels.astype(np.float32).max() > _LARGEST:
        received = f"pixels up to {pixels.max():g}"
    else:
        return
    raise ValueError(
        f"The encoder {encoder.name!r} takes images in [0, 1], or standardized ones. Divide pixels "
        f"from 0 to 255 by 255: `images / 255`. Received: {received}"
    )
