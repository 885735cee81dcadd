"""What to do next, from the numbers of a run."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Content, Markup, element, join, percent, plural
from supcon_tf.commands.page import section
from supcon_tf.commands.report_sections.confusions import (
    confusion_counts,
    most_frequent_confusions,
)
from supcon_tf.commands.report_sections.intervals import accuracy_interval
from supcon_tf.commands.report_sections.loss_curves import STAGES, Curve, read_losses
from supcon_tf.commands.run_outputs import Outputs, Run
from supcon_tf.evaluation import expected_calibration_error

_WIDE_INTERVAL = 0.1
_FEW_IMAGES = 20
_REPEATED = 3
_OVERFITTING = 0.15
_CALIBRATION_ERROR = 0.05
_FITTED = 0.99  # The accuracy on the training images from which more epochs have little to improve.
_STILL_FALLING = 0.03  # The share by which a loss fell in the last tenth of the epochs.


def next_steps(run: Run, probabilities: NDArray[np.float64]) -> Markup:
    """Returns a section with advice."""
    advice = [
        *(() if run.multi_label else _about_predictions(run, probabilities)),
        *_about_training(run),
        *_commands(run),
    ]
    return section("What to do next", element("ol", (element("li", step) for step in advice)))


def _about_predictions(run: Run, probabilities: NDArray[np.float64]) -> Iterator[Content]:
    labels, predictions = run.test.labels, probabilities.argmax(axis=1)
    correct = int(np.sum(predictions == labels))
    low, high = accuracy_interval(correct, len(labels))
    if high - low > _WIDE_INTERVAL:
        yield (
            f"Test on more images. With {plural(len(labels), 'image')}, the accuracy is between "
            f"{percent(low, 0)} and {percent(high, 0)}, which hides smaller improvements."
        )
    classes = len(run.class_names)
    counts = confusion_counts(labels, predictions, classes)
    frequent = [pair for pair in most_frequent_confusions(counts) if counts[pair] >= _REPEATED]
    if frequent:
        true, predicted = frequent[0]
        yield (
            f"Look at the images of {run.class_names[true]} that are taken for "
            f"{run.class_names[predicted]}: it is the most frequent confusion. Correct wrong "
            "labels, add images of both classes, or merge them."
        )
    if expected_calibration_error(probabilities, labels) > _CALIBRATION_ERROR:
        yield (
            "Do not rely on the probabilities: they differ from the accuracy by more than "
            f"{percent(_CALIBRATION_ERROR, 0)} on average. The test images may differ from the "
            "training images."
        )


def _about_training(run: Run) -> Iterator[Content]:
    labels = run.train.labels
    images = labels.sum(axis=0) if run.multi_label else np.bincount(labels)
    images = np.pad(images, (0, len(run.class_names) - len(images)))
    rare = [run.class_names[label] for label in np.argsort(images, kind="stable")]
    rare = rare[: int(np.sum(images < _FEW_IMAGES))]
    if rare:
        names = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
        yield f"Add images of the classes with fewer than {_FEW_IMAGES} training images: {names}."
    trained, tested = _accuracy(run, run.train), _accuracy(run, run.test)
    falling = _stages_with_falling_loss(run)
    if trained - tested > _OVERFITTING:
        yield (
            f"Add training images. The accuracy on the training images is {percent(trained)}, far "
            f"above {percent(tested)} on the test images. Images without labels help as well."
        )
    elif trained < _FITTED and falling:
        yield (
            "Train for more epochs: the accuracy on the training images is only "
            f"{percent(trained)}, and the loss of the {' and of the '.join(falling)} was still "
            "falling."
        )


def _accuracy(run: Run, outputs: Outputs) -> float:
    """Returns the share of images whose label, or whose labels, are all right."""
    if run.multi_label:
        return float(np.mean(np.all((outputs.logits >= 0) == outputs.labels, axis=1)))
    return float(np.mean(outputs.logits.argmax(axis=1) == outputs.labels))


def _stages_with_falling_loss(run: Run) -> list[str]:
    return [
        title.lower()
        for directory, title in STAGES
        if _is_falling(read_losses(run.directory / directory / "log.csv"))
    ]


def _is_falling(curves: Mapping[str, Curve]) -> bool:
    """Returns whether all losses of a stage fell in the last tenth of the epochs."""
    return bool(curves) and all(
        len(curve) > 1
        and (before := curve[-1 - max(len(curve) // 10, 1)][1]) > 0
        and (before - curve[-1][1]) / before > _STILL_FALLING
        for curve in curves.values()
    )


def _commands(run: Run) -> Iterator[Content]:
    for intention, command in (
        ("Classify other images", "predict"),
        ("Find similar images", "search"),
    ):
        text = f"python -m supcon_tf {command} {run.directory} IMAGES"
        yield join(f"{intention}: ", element("code", text))
