"""Features of image files."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from supcon_tf.commands.image_files import load_for_evaluation
from supcon_tf.commands.representations import compute_representations
from supcon_tf.commands.run_outputs import require_file
from supcon_tf.commands.saved_models import load_model
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.readable import check_readable

_BATCH_SIZE = 64

FeatureFunction = Callable[[Sequence[pathlib.Path]], NDArray[Any]]


def load_features(run_dir: pathlib.Path, settings: Mapping[str, Any]) -> FeatureFunction:
    """Loads the encoder of a run, as a function from image files to features `[images, dim]`.

    The function raises `ValueError` if an image cannot be read.

    Raises:
        FileNotFoundError: if the run has no encoder.
        ValueError: if a weight of the encoder is not finite.
    """
    path = run_dir / "encoder.keras"
    require_file(path)
    encoder = load_model(path)

    def compute(paths: Sequence[pathlib.Path]) -> NDArray[Any]:
        check_readable(paths, PixelFormat(settings["channels"]))
        images = load_for_evaluation(paths, settings["channels"])
        return compute_representations(
            encoder, images, _BATCH_SIZE, short_side=settings.get("short_side")
        )

    return compute
