"""Trainings beside the reference code. PyTorch is not installed, so only this library trains."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_finished_training_is_not_repeated(tmp_path):
    output = tmp_path / "records.jsonl"
    command = [sys.executable, "-m", "experiments.benchmarks.reference_training"]
    command += ["--config=experiments/configs/digits_small.py", "--reference=none", "--epochs=2"]
    command += ["--training=library", "--seeds=3", f"--output={output}"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (record,) = map(json.loads, output.read_text().splitlines())
    assert (record["training"], record["recipe"], record["seed"]) == ("library", "digits_small", 3)
    assert len(record["loss"]) == len(record["seconds"]) == 2
    assert record["loss"][1] < record["loss"][0] < 5.6  # ln(255) = 5.54 if all rows are equal
    assert record["accuracy"] > 0.5  # chance is 0.1
    row = f"| library | {record['loss'][0]:.4f} | {record['loss'][1]:.4f} | "
    assert row in first

    record["accuracy"] = 0.25
    output.write_text(json.dumps(record) + "\n")
    again = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "| 0.2500 | 1 |" in again
    assert json.loads(output.read_text()) == record


@pytest.mark.parametrize(("recipe", "epochs"), [("digits_small", 3), ("fashion_mnist_small", 2)])
def test_the_records_of_other_trainings(tmp_path, run_script, recipe, epochs):
    output = tmp_path / "records.jsonl"
    record = {"training": "library", "recipe": "digits_small", "seed": 0, "loss": [5.0, 4.9]}
    output.write_text(json.dumps(record) + "\n")
    arguments = [f"--config=experiments/configs/{recipe}.py", f"--epochs={epochs}"]
    arguments += ["--reference=none", f"--output={output}"]
    with pytest.raises(
        ValueError, match=rf"choose another --output. Received: \('{recipe}', {epochs}"
    ):
        run_script("benchmarks.reference_training", *arguments)
