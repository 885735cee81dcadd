"""The page of results from synthetic records."""

import importlib
import re

import numpy as np
import pytest

from experiments import pictures
from experiments.grids import (
    epochs,
    label_noise,
    labels,
    losses,
    methods,
    positives_per_anchor,
    selection,
    stability,
)
from experiments.lib import files, grid_tables, training_records


def records_of(grid, outcomes, recipe="small", changes=None):
    """Creates records of a recipe from accuracies by the name of a row, one per seed."""
    records = {}
    for row in grid.ROWS:
        for seed, accuracy in enumerate(outcomes.get(row.name, [])):
            record = training_records.identity(recipe, row, grid.ROWS, changes or {}, seed)
            record |= {"row": row.name, "test": {"accuracy": accuracy}, "seconds": 120.0}
            record["run"] = f"{row.name}, {seed}"
            record["finished"] = f"2026-11-2{5 + seed} 12:00:00"
            records[training_records.key(record)] = record
    return records


RECORDS = {
    **records_of(
        losses,
        {
            "SupCon, sum outside": [0.7, 0.8, 0.9],
            "SupCon, sum inside": [0.6, 0.5],
            "cross-entropy": [0.85],
        },
    ),
    **records_of(positives_per_anchor, {"1": [0.5], "no cap": [0.7, 0.8, 0.9]}),
}


@pytest.fixture
def report(load_script):
    return load_script("report")


def test_a_section_compares_with_the_paper(report):
    text = report.grid_section("losses", losses, RECORDS, "small")
    assert text.startswith("\n### Losses: the variants of SupCon")
    assert "| CIFAR-10  | 93.6   | 95.0          | 92.4       | 96.0   |" in text
    assert "--grid=losses \\\n    --config=experiments/configs/cifar10_resnet50.py" in text
    assert "| SupCon, sum outside | 0.8000 ± 0.1000 | 3 | 2.0 |" in text
    assert "SimCLR |" not in text.split("Small trainings:")[1]  # not trained
    assert "(SupCon, Table 1) | +0.2500 | +0.0012 to +0.4988 | **agrees** |" in text
    assert "(SupCon, Table 2) | -0.0500 | | **does not agree** |" in text
    assert "N-pairs (SupCon" not in text


@pytest.mark.parametrize(
    ("worse", "expected"),
    [
        (0.79, ["+0.0100", "**agrees**"]),
        (0.797, ["+0.0030", "agrees, within the noise"]),
        (0.803, ["-0.0030", "does not agree, within the noise"]),
        (0.81, ["-0.0100", "**does not agree**"]),
    ],
)
def test_verdicts(report, worse, expected):
    records = records_of(losses, {"SupCon, sum outside": [0.8], "SupCon, sum inside": [worse]})
    row = grid_tables.claim_row(losses.CLAIMS[0], losses, records, "small")
    difference, verdict = expected
    assert row == [losses.CLAIMS[0].text, difference, "", verdict]


def test_a_verdict_of_several_seeds(report):
    outcomes = {"SupCon, sum outside": [0.8, 0.9], "SupCon, sum inside": [0.7, 0.8, 0.75]}
    row = grid_tables.claim_row(losses.CLAIMS[0], losses, records_of(losses, outcomes), "small")
    assert row[1:] == ["+0.1000", "-0.1988 to +0.3988", "agrees, within the noise"]


def test_the_spread_of_accuracies(report):
    accuracies = {0.05: [0.5], 0.1: [0.6, 0.7], 0.2: [0.7], 0.5: [0.75], 1.0: [0.6]}
    rates = {f"SupCon, learning rate {rate}": values for rate, values in accuracies.items()}
    incomplete = {"SupCon, optimizer momentum": [0.7]}
    records = records_of(stability, {**rates, **incomplete})
    expected = [
        "SupCon, learning rate",
        "5",
        "0.5000",
        "0.7500",
        f"{np.std([0.5, 0.65, 0.7, 0.75, 0.6], ddof=1):.4f}",
    ]
    assert grid_tables.spread_rows(stability, records, "small") == [expected]
    assert f"| {' | '.join(expected)} |" in grid_tables.tables_of_trainings(
        stability, records, "small"
    )
    assert grid_tables.spread_rows(losses, records, "small") == []


def test_a_grid_that_was_not_trained(report):
    text = report.grid_section("epochs", epochs, RECORDS, "small")
    assert text.endswith("Not trained here.\n")


def test_points_of_a_figure(report):
    # A training that two grids have in common is part of both.
    assert report.figure_points(positives_per_anchor, RECORDS, "small") == {
        "SupCon": [(1, 0.5, None), (51, pytest.approx(0.8), pytest.approx(0.1))]
    }


def test_corruptions(report):
    def results(accuracy, ece):
        mean = {"accuracy": [accuracy] * 5, "ece": [ece] * 5}
        return {"clean": {"accuracy": 0.9, "ece": 0.02}, "mean": mean, "mce": 0.875}

    robustness = {
        "corruptions": ["fog", "contrast"],
        "reference": "cross-entropy",
        "classifiers": {"SupCon": [results(0.75, 0.0625)], "cross-entropy": [results(0.5, 0.125)]},
    }
    text = report.robustness_section(robustness)
    assert "| top-1, SupCon, ResNet-50 | 78.81 |" in text
    assert "with 2 corruptions at severities 1 to 5; mCE is relative to cross-entropy" in text
    assert f"| SupCon | accuracy | 0.9000 |{5 * ' 0.7500 |'} 87.5 | |" in text
    assert f"| accuracy | +0.0000 |{5 * ' +0.2500 |'}\n| calibration error |" in text
    assert f"| calibration error | +0.0000 |{5 * ' -0.0625 |'}" in text
    assert report.robustness_section(None).endswith("Not measured here.\n")


def test_corruptions_with_several_seeds(report):
    def results(*accuracies):
        mean = {"ece": [0.1] * 5}
        return [
            {
                "clean": {"accuracy": x, "ece": 0.1},
                "mean": {"accuracy": [x] * 5, **mean},
                "mce": x,
                "relative_mce": None,
            }
            for x in accuracies
        ]

    classifiers = {"SupCon": results(0.8, 0.9), "cross-entropy": results(0.7, 0.8, 0.75)}
    text = report.robustness_tables(
        {"corruptions": ["fog"], "reference": "cross-entropy", "classifiers": classifiers}
    )
    assert f"| SupCon | accuracy |{6 * ' 0.8500 ± 0.0707 |'} 85.0 | |" in text
    # The interval of scipy.stats.ttest_ind(..., equal_var=False).confidence_interval().
    assert f"| 95 % interval |{6 * ' -0.1988 to +0.3988 |'}" in text
    assert f"| calibration error |{6 * ' +0.0000 |'}" in text


def test_commits_of_a_table():
    records = records_of(methods, {"SupCon": [0.1, 0.2], "SimCLR": [0.3], "cross-entropy": [0.4]})
    for record, commit in zip(records.values(), ["b", "a", "b"], strict=False):
        record["versions"] = {"commit": commit}
    text = grid_tables.tables_of_trainings(methods, records, "small")
    assert "\nCommits: a, b, others not recorded.\n" in text


def test_transfer(report, tmp_path):
    records = records_of(methods, {"SupCon": [0.1, 0.2], "SimCLR": [0.3], "cross-entropy": [0.4]})
    for number, record in enumerate(records.values()):
        record["run"] = f"run{number}"
        for dataset, accuracy in (("cifar10", 0.25), ("digits", 0.5), ("fashion_mnist", 0.75)):
            measured = {"logistic_regression_accuracy": accuracy + number / 10}
            path = tmp_path / dataset / f"run{number}.json"
            path.parent.mkdir(exist_ok=True)
            files.write_json(path, {"representations": measured})
    assert report.transfer_section(tmp_path, records, "small").endswith(
        "| | cifar10 | fashion_mnist | digits | seeds |\n|---|---|---|---|---|\n"
        "| SupCon | 0.3000 ± 0.0707 | 0.8000 ± 0.0707 | 0.5500 ± 0.0707 | 2 |\n"
        "| SimCLR | 0.4500 | 0.9500 | 0.7000 | 1 |\n"
        "| cross-entropy | 0.5500 | 1.0500 | 0.8000 | 1 |\n"
    )
    for number in (0, 2):  # Not measured yet.
        (tmp_path / "digits" / f"run{number}.json").unlink()
    assert report.transfer_section(tmp_path, records, "small").endswith(
        "| SupCon | 0.3500 | 0.8500 | 0.6000 | 1 |\n"
        "| cross-entropy | 0.5500 | 1.0500 | 0.8000 | 1 |\n"
    )
    assert report.transfer_section(tmp_path / "none", records, "small") == ""


def test_writes_the_page_and_figures(run_script, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        pictures, "curves", lambda path, series, **labels: drawn.update({path.name: labels}), False
    )
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / "small.jsonl"
    files.write_json_lines(path, RECORDS.values())
    few_labels = records_of(
        labels, {row.name: [0.5, 0.6] for row in labels.ROWS[1:]}, "digits_small"
    )
    files.write_json_lines(tmp_path / "results" / "digits_small.jsonl", few_labels.values())
    accuracies = {f"SupCon, {noise}% noise": [0.5, 0.75][: 1 + noise] for noise in (0, 20, 40)}
    # SupCon without noise is also a row of other grids. Most of their rows were not trained, so
    # they have no section.
    color = records_of(label_noise, accuracies, "cifar10_small")
    trials = {"cross-entropy, start": [0.5], "SupCon, start": [0.25]}
    color |= records_of(selection, trials, "cifar10_small", {"hold_out": 5000})
    files.write_json_lines(tmp_path / "results" / "cifar10_small.jsonl", color.values())
    metrics = {"accuracy": 0.5, "ece": 0.1}
    by_severity = {name: [value] * 5 for name, value in metrics.items()}
    result = {"clean": metrics, "mean": by_severity, "mce": 1.0, "relative_mce": None}
    robustness = {
        "corruptions": ["fog"],
        "reference": "cross-entropy",
        "classifiers": {"SupCon": [result], "cross-entropy": [result]},
    }
    files.write_json(tmp_path / "results" / "cifar10_small_robustness.json", robustness)
    reference = {"training": "reference", "loss": [2.0, 1.5], "seconds": [9.0, 3.0, 2.0]}
    reference_path = tmp_path / "results" / "reference_training.jsonl"
    files.write_json_lines(reference_path, [{**reference, "accuracy": 0.5}])
    output = tmp_path / "results.md"
    run_script("report", f"--records={path}", f"--output={output}")
    text = output.read_text()
    names = importlib.import_module("experiments.report").GRIDS
    assert text.count("\n## ") == 6
    assert text.count("\n### ") == len(names) + 1 + 5  # the corruptions, and those of CIFAR-10
    # Seed 0 was trained before the change: 3 rows of `losses` and 1 more of `positives_per_anchor`.
    assert "4 of the 7 trainings of the grids clipped a crop" in text
    assert (
        "![Test accuracy against maximum number of positives](results/positives_per_anchor.png)"
        in text
    )
    summary, settings, noise, corruptions, reference, _ = re.split(r"\n##+ ", text)[2:8]
    assert summary.startswith("Summary\n\nDifferences are in test accuracy")
    assert settings.startswith("Settings of `cifar10_small`, chosen on held-out training images\n")
    header = "| | held-out accuracy | seeds | minutes |\n|---|---|---|---|\n"
    rows = "| SupCon, start | 0.2500 | 1 | 2.0 |\n| cross-entropy, start | 0.5000 | 1 | 2.0 |\n"
    assert settings.endswith(header + rows)
    assert noise.startswith("Label noise: a fraction of the training images")
    assert "The results with 1 corruptions at severities 1 to 5; mCE is relative" in corruptions
    assert "(results/cifar10_small_robustness.png)" in corruptions
    assert "| reference | 2.0000 | 1.5000 | 0.5000 | 1 | 3.0 |" in reference
    assert "| SupCon, 20% noise | 0.6250 ± 0.1768 | 2 | 2.0 |" in text
    assert drawn == {
        "positives_per_anchor.png": {
            "x_label": "maximum number of positives",
            "y_label": "test accuracy",
            "title": "",  # One of its rows was trained with another number of seeds.
            "logarithmic": True,
        },
        "labels.png": {
            "x_label": "number of labeled images among 1,437",
            "y_label": "test accuracy",
            "title": "mean and standard deviation of 2 seeds",
            "logarithmic": True,
        },
    }
    assert "\n## Accuracy with few labels\n\nOf each of the ten digits" in text
    assert "| cross-entropy, all labels | 0.5500 ± 0.0707 | 2 | 2.0 |" in text
    assert "(results/labels.png)" in text


def test_the_note_on_earlier_code_goes_with_the_last_earlier_training(report):
    records = {key: record for key, record in RECORDS.items() if record["seed"] > 0}
    assert records
    assert report.note_on_earlier_code(records) == ""


def test_a_missing_file(run_script, tmp_path):
    with pytest.raises(FileNotFoundError, match="`--records` must be an existing file. Received"):
        run_script("report", f"--records={tmp_path}/none.jsonl", f"--output={tmp_path}/page.md")
    assert not list(tmp_path.iterdir())
