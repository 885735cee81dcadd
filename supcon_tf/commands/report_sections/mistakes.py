"""The mistakes with the highest probability."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Markup, element, percent
from supcon_tf.commands.page import section
from supcon_tf.commands.run_outputs import Run
from supcon_tf.commands.thumbnails import thumbnail

_MAX_IMAGES = 24


class Mistake(NamedTuple):
    """A wrong prediction.

    Attributes:
        path: the file of the image.
        said: what was predicted.
        truth: what is right.
    """

    path: pathlib.Path
    said: str
    truth: str


def find_mistakes(run: Run, probabilities: NDArray[np.float64]) -> list[Mistake]:
    """Returns the wrong predictions with the highest probability, the highest first."""
    if run.multi_label:
        return _wrong_decisions(run, probabilities)
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != run.test.labels)
    order = wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")]
    return [
        Mistake(
            run.test.paths[image],
            f"{run.class_names[predictions[image]]}, {percent(probabilities[image].max())}",
            run.names_of(run.test, image),
        )
        for image in order[:_MAX_IMAGES]
    ]


def mistakes(found: Sequence[Mistake]) -> Markup:
    """Returns a section with images that were classified wrong."""
    if not found:
        return section("Mistakes", element("p", "No prediction is wrong."))
    return section(
        "The most confident mistakes",
        element(
            "p",
            "These predictions are wrong although their probability is high. Look for wrong labels "
            "and for images that show several classes.",
        ),
        element("div", _figures(found), class_="images"),
    )


def _figures(found: Iterable[Mistake]) -> Iterable[Markup]:
    return (
        element(
            "figure",
            thumbnail(path, f"{path.name}, predicted as {said}, is {truth}"),
            element(
                "figcaption",
                element("b", said),
                element("br"),
                f"is {truth}",
                element("br"),
                path.name,
            ),
            title=str(path),
        )
        for path, said, truth in found
    )


def _wrong_decisions(run: Run, probabilities: NDArray[np.float64]) -> list[Mistake]:
    """Returns the wrong decisions about a class of an image."""
    wrong = (probabilities >= 0.5) != run.test.labels
    confidence = np.where(wrong, np.maximum(probabilities, 1 - probabilities), 0)
    order = np.argsort(-confidence, axis=None, kind="stable")[:_MAX_IMAGES]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [
        Mistake(
            run.test.paths[image],
            f"{'' if probabilities[image, label] >= 0.5 else 'not '}{run.class_names[label]}, "
            f"{percent(confidence[image, label])}",
            run.names_of(run.test, image),
        )
        for image, label in pairs
        if wrong[image, label]
    ]
