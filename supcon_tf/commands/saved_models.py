"""Loads trained models."""

import hashlib
import os

import keras
import numpy as np

import supcon_tf  # noqa: F401  (registers the classes that Keras loads)
from supcon_tf.commands.divergence import find_non_finite_weight


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model and checks that its weights are finite.

    The check is necessary because a model with NaN in its weights can return finite numbers: on a
    CPU, TensorFlow fuses a dense layer with its ReLU, which converts NaN to 0.

    Args:
        path: a .keras file.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: if a weight is not finite.
    """
    model = keras.saving.load_model(path, compile=False)
    weight = find_non_finite_weight(model)
    if weight is not None:
        raise ValueError(
            f"{path} must have finite weights; train the model again. Received: NaN or infinity in "
            f"{weight.path}"
        )
    return model


def weights_digest(path: str | os.PathLike[str]) -> str:
    """Returns a digest of the weights in a .keras file, whose bytes also depend on the time."""
    digest = hashlib.sha256()
    for weight in load_model(path).get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]
