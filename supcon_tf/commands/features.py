"""Features of image files."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.data import EncodedImages, evaluation_batches
from supcon_tf.data.folder import check_readable
from supcon_tf.evaluation.inputs import check_matrix

_BATCH_SIZE = 64

FeatureFunction = Callable[[Sequence[pathlib.Path]], NDArray[Any]]


def load_features(run_dir: pathlib.Path, settings: Mapping[str, Any]) -> FeatureFunction:
    """Loads the encoder of a run, as a function from image files to features `[images, dim]`.

    The function raises `ValueError` if an image cannot be read.

    Raises:
        FileNotFoundError: if the run has no encoder.
    """
    path = run_dir / "encoder.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"{run_dir} must be the directory of a finished `python -m supcon_tf train`. "
            f"Received: no file {path.name}"
        )
    encoder = keras.saving.load_model(path, compile=False)
    channels = settings["channels"]

    def compute(paths: Sequence[pathlib.Path]) -> NDArray[Any]:
        check_readable(paths, channels)
        source = EncodedImages(
            [str(path) for path in paths],
            np.full(len(paths), -1),
            settings["class_names"],
            read=tf.io.read_file,
            channels=channels,
        )
        batches = evaluation_batches(
            source,
            size=settings["image_size"],
            short_side=settings.get("short_side"),
            batch_size=_BATCH_SIZE,
        )
        return check_matrix("features", encoder.predict(batches, verbose=0))

    return compute
