"""The models that trainings left."""

import os

import keras

import supcon_tf  # noqa: F401  (so that Keras knows its models)
from experiments.lib.divergence import weight_not_finite


def load(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model whose weights are all finite.

    On a CPU, TensorFlow turns NaN into 0 where it computes a dense layer and its ReLU at once: what
    a model with NaN in its weights gives can look like any other numbers.

    Args:
        path: a .keras file.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: if a weight is not finite.
    """
    model = keras.saving.load_model(path, compile=False)
    weight = weight_not_finite(model)
    if weight is not None:
        raise ValueError(
            f"{path} must have finite weights; train it again. Received: NaN or infinity in "
            f"{weight.path}"
        )
    return model
