"""Writes results as tables in Markdown."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.grids import Row
from experiments.lib import training_records

ROBUSTNESS_METRICS = ("accuracy", "ece")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table; every line ends in a line break."""
    separator = "|" + "---|" * len(header) + "\n"
    return _markdown_row(header) + separator + "".join(map(_markdown_row, rows))


def accuracy_table(
    rows: Sequence[Row],
    records: Mapping[str, training_records.Record],
    recipe: str,
    changes: Mapping[str, Any] | None = None,
    tested: str = "test",
) -> str:
    """Writes the accuracy and the training time of the rows of a grid that have records.

    Args:
        rows: the grid.
        records: records by their keys.
        recipe: the name of the recipe that the grid changes.
        changes: changes to all rows that do not change the same field.
        tested: the images that the accuracy is measured on.
    """
    cells = []
    for row in rows:
        selected = training_records.select(records, recipe, row, rows, changes)
        if selected:
            accuracy = mean_and_deviation([record["test"]["accuracy"] for record in selected])
            minutes = statistics.mean(record["seconds"] for record in selected) / 60
            cells.append([row.name, accuracy, str(len(selected)), f"{minutes:.1f}"])
    return markdown_table(["", f"{tested} accuracy", "seeds", "minutes"], cells)


def robustness_table(classifiers: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Writes accuracy and calibration error by severity, and mCE in percent.

    Args:
        classifiers: `classifiers` of robustness.json: the results of all seeds by the name.
    """
    rows = []
    for name, results in classifiers.items():
        for metric in ROBUSTNESS_METRICS:
            by_severity = robustness_by_severity(results, metric)
            row = [name, metric, *(mean_and_deviation(values) for values in by_severity)]
            for error in ("mce", "relative_mce"):
                values = [result.get(error) for result in results]
                shown = metric == "accuracy" and None not in values
                row.append(f"{100 * statistics.mean(values):.1f}" if shown else "")
            rows.append(row)
    return markdown_table(["", "", "clean", *"12345", "mCE", "rel. mCE"], rows)


def robustness_by_severity(
    results: Sequence[Mapping[str, Any]], metric: str
) -> list[tuple[float, ...]]:
    """Returns the values of all seeds on clean images and at each severity."""
    values = ([result["clean"][metric], *result["mean"][metric]] for result in results)
    return list(zip(*values, strict=True))


def robustness_means(
    classifiers: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, dict[str, list[float]]]:
    """Returns the means over the seeds for each name and metric, as for a picture."""
    return {
        name: {
            metric: [statistics.mean(each) for each in robustness_by_severity(results, metric)]
            for metric in ROBUSTNESS_METRICS
        }
        for name, results in classifiers.items()
    }


def reference_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Writes losses, accuracies and seconds of an epoch of trainings beside the reference code.

    Args:
        records: the records of `experiments.benchmarks.reference_training`. The table shows their
            means and standard deviations over the seeds, and the medians of the seconds.
    """
    epochs = len(records[0]["loss"])
    shown = sorted({epochs // 6, epochs // 3, 2 * epochs // 3, epochs} - {0})
    rows = []
    for training in dict.fromkeys(record["training"] for record in records):
        selected = [record for record in records if record["training"] == training]
        losses = [mean_and_deviation([each["loss"][i - 1] for each in selected]) for i in shown]
        accuracy = mean_and_deviation([each["accuracy"] for each in selected])
        seconds = statistics.median(x for each in selected for x in each["seconds"])
        rows.append([training, *losses, accuracy, str(len(selected)), f"{seconds:.1f}"])
    header = ["", *(f"loss, epoch {i}" for i in shown), "accuracy", "seeds", "seconds per epoch"]
    return markdown_table(header, rows)


def mean_and_deviation(values: Sequence[float]) -> str:
    """Formats the mean, and the sample standard deviation of several values."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.4f}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|\n"
