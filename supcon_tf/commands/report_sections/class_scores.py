"""The scores of a run whose images can have several classes."""

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.markup import Markup, join, percent
from supcon_tf.commands.page import note, section
from supcon_tf.commands.report_sections.class_accuracy import bar_table
from supcon_tf.commands.report_sections.intervals import accuracy_interval
from supcon_tf.commands.report_sections.summary import number_tiles, run_in_words
from supcon_tf.commands.run_outputs import Run
from supcon_tf.evaluation import expected_calibration_error, voc_mean_average_precision


def summary_of_several_classes(run: Run, probabilities: NDArray[np.float64]) -> Markup:
    """Returns the head of the report."""
    labels, decisions = run.test.labels, (probabilities >= 0.5).astype(np.int64)
    exact = int(np.sum(np.all(decisions == labels, axis=1)))
    low, high = accuracy_interval(exact, len(labels))
    tested = labels.any(axis=0)
    tiles = [
        (
            percent(exact / len(labels)),
            f"images with exactly the right classes: {exact:,} of {len(labels):,}. 95 % confidence "
            f"interval: {percent(low)} to {percent(high)}",
        ),
        (
            percent(float(np.mean(f1_scores(labels, decisions)[tested]))),
            "mean F1 score of the classes, each with the same weight",
        ),
        (
            percent(expected_calibration_error(*as_decisions(probabilities, labels))),
            "expected calibration error of the decisions",
        ),
    ]
    if tested.any():
        score = voc_mean_average_precision(probabilities[:, tested], labels[:, tested])
        tiles.insert(2, (percent(score), "mean average precision (11 points of recall, VOC 2007)"))
    return join(
        run_in_words(run),
        number_tiles(tiles),
        note("An image can have several classes: those with a probability of at least 50 %."),
    )


def class_scores(run: Run, probabilities: NDArray[np.float64]) -> Markup:
    """Returns a section with the F1 score of each class, the lowest first."""
    labels, decisions = run.test.labels, (probabilities >= 0.5).astype(np.int64)
    found = np.sum(labels * decisions, axis=0)
    scores = f1_scores(labels, decisions)
    tested = np.flatnonzero(labels.any(axis=0))
    rows = [
        (
            run.class_names[label],
            float(scores[label]),
            (
                f"{found[label]:,} of {decisions[:, label].sum():,}",
                f"{found[label]:,} of {labels[:, label].sum():,}",
            ),
        )
        for label in tested[np.argsort(scores[tested], kind="stable")].tolist()
    ]
    untested = [run.class_names[label] for label in np.flatnonzero(~labels.any(axis=0)).tolist()]
    return section(
        "F1 score of each class",
        bar_table(("class", "F1 score", "right if predicted", "found"), rows),
        note("Without test images: ", ", ".join(untested)) if untested else "",
    )


def f1_scores(labels: NDArray[np.int64], decisions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the harmonic mean of precision and recall of each class, 0 if nothing is found."""
    found = np.sum(labels * decisions, axis=0)
    return 2 * found / np.maximum(labels.sum(axis=0) + decisions.sum(axis=0), 1)


def as_decisions(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns each class of each image as a decision between no (0) and yes (1).

    Args:
        probabilities: `[images, classes]`.
        labels: `[images, classes]` 0 or 1.

    Returns:
        `[images * classes, 2]` probabilities and `[images * classes]` labels.
    """
    yes = probabilities.reshape(-1)
    return np.stack([1 - yes, yes], axis=1), labels.reshape(-1)
