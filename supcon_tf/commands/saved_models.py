"""Loads trained models."""

import hashlib
import os
import zipfile
from collections.abc import Sequence

import keras
import numpy as np

from supcon_tf import encoders, models  # noqa: F401  (registers the classes that Keras loads)
from supcon_tf._requirements import require_extra
from supcon_tf.commands.divergence import find_non_finite_weight
from supcon_tf.data.class_names import check_same_classes


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model and checks that its weights are finite.

    The check is necessary because a model with NaN in its weights can return finite numbers: on a
    CPU, TensorFlow fuses a dense layer with its ReLU, which converts NaN to 0.

    Args:
        path: a .keras file.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: if the file does not exist.
        ImportError: if the model has layers of KerasHub, and KerasHub is not installed.
        ValueError: if it is not a complete .keras file, or a weight is not finite.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} must be an existing .keras file. Received: no such file")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} must be a complete .keras file. Copy it again, or train the model again. "
            "Received: a file that is damaged or of another format"
        )
    _import_keras_hub(path)
    model = keras.saving.load_model(path, compile=False)
    weight = find_non_finite_weight(model)
    if weight is not None:
        raise ValueError(
            f"{path} must have finite weights; train the model again. Received: NaN or infinity in "
            f"{weight.path}"
        )
    return model


def load_encoder(path: str | os.PathLike[str]) -> keras.Model:
    """Loads an encoder, as `load_model` does.

    Raises:
        ValueError: if it is another model, for example a classifier; and as `load_model`.
    """
    model = load_model(path)
    if getattr(model, "input_shape", None) is None:  # that of a functional or Sequential model
        raise ValueError(
            f"{path} must be the file of an encoder, such as encoder.keras. "
            f"Received: a {type(model).__name__}"
        )
    return model


def load_classifier(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a classifier with the attribute `encoder`, as `load_model` does.

    Raises:
        ValueError: if it is another model, for example an encoder; and as `load_model`.
    """
    model = load_model(path)
    if not hasattr(model, "encoder"):
        raise ValueError(
            f"{path} must be the file of a classifier, such as classifier.keras. "
            f"Received: a {type(model).__name__} without an encoder"
        )
    return model


def _import_keras_hub(path: str | os.PathLike[str]) -> None:
    """Imports KerasHub for a file with layers of it, whose error in Keras is a long configuration.

    Raises:
        ImportError: if KerasHub is necessary and not installed.
    """
    with zipfile.ZipFile(path) as file:
        config = file.read("config.json") if "config.json" in file.namelist() else b""
    if b'"module": "keras_hub.' in config:
        with require_extra(os.fspath(path), "keras-hub", "vit"):
            import keras_hub  # noqa: F401  (registers its layers)


def check_classes(
    path: str | os.PathLike[str], classifier: keras.Model, class_names: Sequence[str]
) -> None:
    """Checks that the outputs of a classifier stand for the classes of a data set.

    Args:
        path: the file of the classifier, for the error.
        classifier: the classifier. Without `class_names`, only its `num_classes` are compared, and
            nothing if it has neither.
        class_names: the classes of the data set.

    Raises:
        ValueError: if the classes or their order differ.
    """
    if getattr(classifier, "class_names", None) is not None:
        check_same_classes(f"{path}, for these images,", classifier.class_names, class_names)
    elif getattr(classifier, "num_classes", len(class_names)) != len(class_names):
        raise ValueError(
            f"{path} must classify the {len(class_names)} classes of the images. "
            f"Received: a classifier of {classifier.num_classes} classes"
        )


def weights_digest(path: str | os.PathLike[str]) -> str:
    """Returns a digest of the weights in a .keras file, whose bytes also depend on the time."""
    digest = hashlib.sha256()
    for weight in load_model(path).get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def model_digest(path: str | os.PathLike[str]) -> str:
    """Returns a digest of a .keras file, except for the time at which it was saved."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as file:
        for name in sorted(set(file.namelist()) - {"metadata.json"}):
            digest.update(name.encode() + hashlib.sha256(file.read(name)).digest())
    return digest.hexdigest()[:16]
