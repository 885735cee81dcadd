"""The head of the report: the run in words, and its most important numbers."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Markup, element, join, percent, plural
from supcon_tf.commands.report_sections.intervals import accuracy_interval
from supcon_tf.commands.run_outputs import Run
from supcon_tf.evaluation import expected_calibration_error, mean_per_class_accuracy


def summary(run: Run, probabilities: NDArray[np.float64]) -> Markup:
    """Returns the head of the report on a run whose images have one class each."""
    predictions, labels = probabilities.argmax(axis=1), run.test.labels
    correct = int(np.sum(predictions == labels))
    low, high = accuracy_interval(correct, len(labels))
    tiles = [
        (
            percent(correct / len(labels)),
            f"accuracy: {correct:,} of {len(labels):,} images. 95 % confidence interval: "
            f"{percent(low)} to {percent(high)}",
        ),
        (
            percent(mean_per_class_accuracy(predictions, labels)),
            "mean accuracy of the classes, each with the same weight",
        ),
        (
            percent(float(np.mean(run.train.logits.argmax(axis=1) == run.train.labels))),
            "accuracy on the training images",
        ),
        (
            percent(expected_calibration_error(probabilities, labels)),
            "expected calibration error of the probabilities",
        ),
    ]
    k_nn_accuracy = run.results.get("k_nn_accuracy")
    if k_nn_accuracy is not None:
        tiles.insert(2, (percent(k_nn_accuracy), "accuracy of the nearest training images (k-NN)"))
    return join(run_in_words(run), number_tiles(tiles))


def run_in_words(run: Run) -> Markup:
    """Returns sentences about the data and the training, and all settings in a table."""
    settings = element(
        "dl",
        (
            (element("dt", name), element("dd", element("code", json.dumps(value))))
            for name, value in run.settings.items()
            if name != "class_names"
        ),
        class_="settings",
    )
    return join(
        element("p", " ".join(_sentences(run))),
        element("details", element("summary", "All settings"), settings),
    )


def number_tiles(tiles: Sequence[tuple[str, str]]) -> Markup:
    """Returns numbers, each with what it means."""
    return element(
        "div",
        (
            element("div", element("b", number), element("span", meaning), class_="tile")
            for number, meaning in tiles
        ),
        class_="tiles",
    )


def _sentences(run: Run) -> Iterator[str]:
    settings = run.settings
    encoder = settings.get("encoder", "")
    trained = f"The encoder {encoder} was trained" if encoder else "An encoder was trained"
    trained += f" on {plural(len(run.train.labels), 'image')}"
    trained += f" of {plural(len(run.class_names), 'class', 'classes')}"
    if size := settings.get("image_size"):
        color = {1: ", in gray", 3: ", in color"}.get(settings.get("channels", 0), "")
        trained += f" at {size} \N{MULTIPLICATION SIGN} {size} pixels{color}"
    yield trained + "."
    details = [
        text
        for key, text in (
            ("epochs", "{} epochs"),
            ("batch_size", "batches of {} images"),
            ("temperature", "temperature {}"),
            ("learning_rate", "learning rate {}"),
        )
        if (value := settings.get(key)) is not None
        for text in [text.format(value)]
    ]
    if details:
        yield f"The supervised contrastive stage had {_enumerate(details)}."
    epochs = settings.get("linear_epochs")
    classifier = "A linear classifier on the features was then trained"
    yield f"{classifier} for {plural(epochs, 'epoch')}." if epochs else f"{classifier}."
    tested_on = run.results.get("tested_on", "test folder")
    yield f"The results are about {plural(len(run.test.labels), 'image')} ({tested_on})."


def _enumerate(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
