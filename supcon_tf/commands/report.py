"""Writes a report on a run: one web page that needs no network."""

import os
import pathlib

import numpy as np
from numpy.typing import NDArray

from supcon_tf._files import write_atomically
from supcon_tf.commands.markup import Markup
from supcon_tf.commands.page import page
from supcon_tf.commands.report_sections.class_accuracy import class_accuracy
from supcon_tf.commands.report_sections.class_scores import (
    as_decisions,
    class_scores,
    summary_of_several_classes,
)
from supcon_tf.commands.report_sections.confusions import (
    confusion_counts,
    confusion_note,
    confusions,
)
from supcon_tf.commands.report_sections.feature_map import feature_map
from supcon_tf.commands.report_sections.loss_curves import loss_curves
from supcon_tf.commands.report_sections.mistakes import find_mistakes, mistakes
from supcon_tf.commands.report_sections.next_steps import next_steps
from supcon_tf.commands.report_sections.reliability import reliability
from supcon_tf.commands.report_sections.summary import summary
from supcon_tf.commands.run_outputs import Run, read_run


def report(run_dir: str | os.PathLike[str], projection: str = "PCA") -> pathlib.Path:
    """Writes `report.html` into the directory of a run.

    The page contains the accuracy with its confidence interval, the accuracy of each class, the
    confusions, the calibration, a map of the features, the losses, the most confident mistakes,
    and what to do next. It is a single file, which opens from the disk.

    Args:
        run_dir: the directory of a finished `python -m supcon_tf train`.
        projection: how the map of the features is computed: `"PCA"`, or `"t-SNE"`, which needs
            scikit-learn.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: if a file of the run is missing.
        ValueError: if a file of the run is damaged, or `projection` is unknown.
        ImportError: if `projection` needs a package that is not installed.
    """
    run = read_run(run_dir)
    probabilities = run.probabilities(run.test)
    sections = _several_classes if run.multi_label else _one_class
    text = page(
        f"Report on {run.directory.resolve().name}",
        *sections(run, probabilities, projection),
        loss_curves(run.directory),
        mistakes(find_mistakes(run, probabilities)),
        next_steps(run, probabilities),
    )
    path = run.directory / "report.html"
    write_atomically(path, lambda name: name.write_text(text, encoding="utf-8"))
    return path


def _one_class(run: Run, probabilities: NDArray[np.float64], projection: str) -> tuple[Markup, ...]:
    """Returns the first sections of a run whose images have one class each."""
    predictions = probabilities.argmax(axis=1)
    counts = confusion_counts(run.test.labels, predictions, len(run.class_names))
    return (
        summary(run, probabilities),
        class_accuracy(run, predictions),
        confusions(counts, run.class_names),
        reliability(
            probabilities,
            run.test.labels,
            run.temperature,
            run.results.get("unknown_threshold"),
            same_images=not run.has_test_images,
        ),
        feature_map(run, predictions != run.test.labels, projection),
    )


def _several_classes(
    run: Run, probabilities: NDArray[np.float64], projection: str
) -> tuple[Markup, ...]:
    """Returns the first sections of a run whose images can have several classes."""
    wrong = np.any((probabilities >= 0.5) != run.test.labels, axis=1)
    return (
        summary_of_several_classes(run, probabilities),
        class_scores(run, probabilities),
        confusion_note(),
        reliability(
            *as_decisions(probabilities, run.test.labels),
            run.temperature,
            None,
            "decision",
            same_images=not run.has_test_images,
        ),
        feature_map(run, wrong, projection),
    )
