"""Classifiers of the pixels of images, from a trained run."""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.commands.confidence import to_probabilities
from supcon_tf.commands.image_files import load_for_evaluation
from supcon_tf.commands.labeled_files import read_labeled_files
from supcon_tf.commands.representations import compute_representations
from supcon_tf.commands.trained_run import TrainedRun
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.readable import check_readable
from supcon_tf.similarity.normalization import l2_normalize

_BATCH_SIZE = 64
_UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Classifier:
    """What `predict` needs of a classifier.

    Attributes:
        class_names: names of the classes.
        predict: function from images `[batch, size, size, channels]` to probabilities
            `[batch, classes]`.
        choose: function from the probabilities of an image to the name of its class.
    """

    class_names: tuple[str, ...]
    predict: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    choose: Callable[[NDArray[np.float64]], str]


def trained_classifier(run: TrainedRun) -> Classifier:
    """Returns the classifier of a run."""
    names, threshold = run.class_names, run.results["unknown_threshold"]

    def predict(images: NDArray[np.float32]) -> NDArray[np.float64]:
        logits = run.classifier(images, training=False).numpy()
        return to_probabilities(logits, run.results["temperature"], multi_label=run.multi_label)

    def choose(probabilities: NDArray[np.float64]) -> str:
        if run.multi_label:
            labels = itertools.compress(names, probabilities >= threshold)
            return ";".join(labels) or _UNKNOWN
        best = int(probabilities.argmax())
        return names[best] if probabilities[best] >= threshold else _UNKNOWN

    return Classifier(names, predict, choose)


def class_means_classifier(run: TrainedRun, classes: pathlib.Path) -> Classifier:
    """Returns a classifier of new classes, by the nearest mean of normalized representations.

    The probabilities are the softmax of the cosines divided by the temperature of the training.
    They are not calibrated, so no prediction is unknown.

    Args:
        run: the run, whose encoder computes the representations.
        classes: a directory or csv file with a few images of each class.

    Raises:
        ValueError: if an image cannot be read or has several labels.
        OSError: if a file does not exist.
    """
    encoder, settings = run.classifier.encoder, run.settings
    files = read_labeled_files(classes)
    if files.multi_label:
        raise ValueError("`--classes` must have one label per image. Received: several labels")
    check_readable(files.paths, PixelFormat(settings.channels))
    rows = compute_representations(
        encoder,
        load_for_evaluation(files.paths, settings.channels),
        _BATCH_SIZE,
        short_side=settings.short_side,
    )
    means = l2_normalize(tf.matmul(files.indicators, l2_normalize(rows), transpose_a=True))

    def predict(images: NDArray[np.float32]) -> NDArray[np.float64]:
        cosines = tf.matmul(l2_normalize(encoder(images, training=False)), means, transpose_b=True)
        return to_probabilities(cosines.numpy(), settings.temperature, multi_label=False)

    return Classifier(files.class_names, predict, lambda row: files.class_names[row.argmax()])
