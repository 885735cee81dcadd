"""The range of the pixels that the encoders of this library take."""

from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="supcon_tf")
class Pixels(keras.layers.Identity):
    """Returns its inputs, and marks a model that takes images of a known range.

    The mark is a layer, so it remains when the model is copied, saved and loaded. A model that
    scales its images before it calls a marked model has no mark itself.

    Args:
        standardized: whether the model takes images in [0, 1] or standardized images, and not only
            images in [0, 1].
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, standardized: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.standardized = standardized

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {**super().get_config(), "standardized": self.standardized}


def find_pixels(encoder: keras.Model) -> Pixels | None:
    """Returns the mark of an encoder whose inputs go straight to it, or `None`."""
    layers = getattr(encoder, "layers", ())
    return next((layer for layer in layers if isinstance(layer, Pixels)), None)


def check_pixels(images: Any, encoder: keras.Model) -> None:
    """Checks that images have the range that a marked encoder takes.

    Args:
        images: an array or an eager tensor.
        encoder: the encoder, which has a mark.

    Raises:
        ValueError: if the images are integers; or have a pixel above 10, when the encoder takes
            standardized images; or a pixel far from [0, 1], when it does not.
    """
    mark = find_pixels(encoder)
    standardized = mark is None or mark.standardized
    # Standardized pixels are from about -3 to 3. Resizing can exceed [0, 1] a little.
    least, largest = (-np.inf, 10) if standardized else (-0.5, 1.5)
    pixels = np.asarray(images)
    if np.issubdtype(pixels.dtype, np.integer):
        received = f"images of dtype {pixels.dtype}"
    else:
        pixels = pixels.astype(np.float32)
        if not pixels.size or not (pixels.min() < least or pixels.max() > largest):
            return
        received = f"pixels from {pixels.min():g} to {pixels.max():g}"
    raise ValueError(
        f"The encoder {encoder.name!r} takes images in [0, 1]"
        f"{', or standardized ones' if standardized else ', which it standardizes itself'}. Divide "
        f"pixels from 0 to 255 by 255: `images / 255`. Received: {received}"
    )
