"""Predictions for image files, as a csv file or a table."""

import csv
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures

import numpy as np
from numpy.typing import NDArray

from supcon_tf._files import make_directory, write_atomically
from supcon_tf.commands.image_classifiers import (
    Classifier,
    class_means_classifier,
    trained_classifier,
)
from supcon_tf.commands.image_files import read_pixels
from supcon_tf.commands.image_paths import expand_paths
from supcon_tf.commands.settings import Settings
from supcon_tf.commands.trained_run import load_run

_BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A row of the output.

    Attributes:
        path: the image.
        name: the predicted class, or the error if the image cannot be read.
        probabilities: `[classes]`, or `None` if the image cannot be read.
    """

    path: pathlib.Path
    name: str
    probabilities: NDArray[np.float64] | None


def predict(
    run_directory: pathlib.Path,
    images: Sequence[str],
    output: pathlib.Path | None,
    classes: pathlib.Path | None,
) -> int:
    """Classifies images and writes or prints the predictions.

    Args:
        run_directory: the output directory of `train`.
        images: image files, directories and patterns.
        output: the csv file, or `None` to print.
        classes: images of new classes, or `None` for the classes of the run.

    Returns:
        The exit code: 1 if an image cannot be read, otherwise 0.

    Raises:
        ValueError: if an argument is not as described.
        OSError: if a file does not exist or cannot be written.
    """
    if output is not None and output.suffix != ".csv":
        raise ValueError(f"`--output` must end in .csv. Received: {str(output)!r}")
    run = load_run(run_directory)
    paths = expand_paths(images)
    classifier = (
        trained_classifier(run) if classes is None else class_means_classifier(run, classes)
    )
    if output is not None:
        make_directory(output.parent)
    predictions = list(classify(paths, classifier, run.settings))
    if output is not None:
        write_atomically(output, lambda name: _write_csv(name, predictions, classifier.class_names))
        print(f"{output}: predictions for {len(predictions)} images")
    elif sys.stdout.isatty():
        _print_table(predictions)
    else:
        _write_rows(sys.stdout, predictions, classifier.class_names)
    failed = [each for each in predictions if each.probabilities is None]
    for each in failed:
        print(f"error: {each.name}", file=sys.stderr)
    return int(bool(failed))


def classify(
    paths: Sequence[pathlib.Path], classifier: Classifier, settings: Settings
) -> Iterator[Prediction]:
    """Yields a prediction for every image, in order."""
    for batch in _batches(paths):
        pixels, errors = _read(batch, settings)
        rows = iter(classifier.predict(pixels) if len(pixels) else np.empty([0, 0]))
        for path in batch:
            if path in errors:
                yield Prediction(path, errors[path], None)
            else:
                probabilities = next(rows)
                yield Prediction(path, classifier.choose(probabilities), probabilities)


def _read(
    paths: Sequence[pathlib.Path], settings: Settings
) -> tuple[NDArray[np.float32], dict[pathlib.Path, str]]:
    """Returns the pixels of the images that can be read, and errors of the others."""
    errors: dict[pathlib.Path, str] = {}

    def read(path: pathlib.Path) -> NDArray[np.float32] | None:
        try:
            return read_pixels(path, settings)
        except ValueError as error:
            errors[path] = str(error)
            return None

    with futures.ThreadPoolExecutor() as pool:
        images = [image for image in pool.map(read, paths) if image is not None]
    size, channels = settings.image_size, settings.channels
    return np.array(images, np.float32).reshape(-1, size, size, channels), errors


def _batches(paths: Sequence[pathlib.Path]) -> Iterator[Sequence[pathlib.Path]]:
    for first in range(0, len(paths), _BATCH_SIZE):
        yield paths[first : first + _BATCH_SIZE]


def _write_csv(
    path: pathlib.Path, predictions: Sequence[Prediction], class_names: Sequence[str]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        _write_rows(file, predictions, class_names)


def _write_rows(
    file: object, predictions: Sequence[Prediction], class_names: Sequence[str]
) -> None:
    writer = csv.writer(file)  # type: ignore[arg-type]
    columns = [f"probability of {name}" for name in class_names]
    writer.writerow(["path", "prediction", "probability", *columns, "error"])
    for each in predictions:
        if each.probabilities is None:
            writer.writerow([each.path, "", "", *[""] * len(class_names), each.name])
        else:
            values = [f"{value:.6f}" for value in each.probabilities]
            writer.writerow([each.path, each.name, max(values, key=float), *values, ""])


def _print_table(predictions: Sequence[Prediction]) -> None:
    width = max(len(str(each.path)) for each in predictions)
    for each in predictions:
        if each.probabilities is not None:
            print(f"{each.path!s:{width}}  {each.probabilities.max():6.1%}  {each.name}")
