"""Grids, with trainings that only note what they were given."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from experiments import ablation
from experiments.configs import digits_small
from experiments.grids import Row, label_distributions

ROWS = [
    Row("teacher", "_teacher", {"encoder.width": 0.5}),
    Row("taught, mixed", "_genscl", {"mixing.kind": "cutmix"}, teacher="teacher"),
    Row("broken", changes={"loss.temperature": -1.0}),
    Row("cross-entropy", "_cross_entropy", {"epochs": 1}),
]


@pytest.fixture
def recipe(tmp_path):
    for suffix in ("", "_teacher", "_genscl", "_cross_entropy"):
        (tmp_path / f"digits{suffix}.py").write_text(
            "from experiments.configs.digits_small import get_config\n"
        )
    return tmp_path / "digits.py"


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that only note what they were given, in place of real ones."""
    made = []

    def train(kind, config, directory):
        if config.loss.temperature < 0:
            raise ValueError("a negative temperature")
        if kind == "linear":
            assert directory.name == "linear"
        made.append((kind, directory, config))
        directory.mkdir(parents=True)
        results = {name: name for name in ("tested_on", "versions", "finished")}
        results["test"] = {"accuracy": config.epochs / 100 + config.seed / 1000}
        (directory / "results.json").write_text(json.dumps(results))

    for name in ("train_cross_entropy", "train_teacher", "pretrain"):
        monkeypatch.setattr(
            ablation,
            name,
            lambda config, directory, strategy, name=name: train(name, config, directory),
        )
    monkeypatch.setattr(
        ablation,
        "train_linear",
        lambda encoder, config, directory, strategy: train("linear", config, directory),
    )
    return made


def run(rows, recipe, seeds=(0, 7), changes=None):
    return ablation.run_grid(
        rows,
        recipe,
        seeds=seeds,
        changes={"epochs": 3} if changes is None else changes,
        path=recipe.with_name("lines.jsonl"),
        strategy=tf.distribute.get_strategy(),
    )


def test_trains_every_row_with_every_seed(recipe, tmp_path, trainings):
    lines = run(ROWS, recipe)
    assert [
        json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()
    ] == lines
    assert [(line["row"], line["seed"]) for line in lines] == [
        (row.name, seed) for seed in (0, 7) for row in ROWS
    ]
    kinds = ["train_teacher", "pretrain", "linear", "train_cross_entropy"]
    assert [kind for kind, *_ in trainings] == 2 * kinds
    directories = [str(directory.relative_to(tmp_path / "lines")) for _, directory, _ in trainings]
    names = ["teacher-{}", "taught_mixed-{}", "taught_mixed-{}/linear", "cross_entropy-{}"]
    assert directories == [name.format(seed) for seed in (0, 7) for name in names]
    taught = trainings[5][2]
    assert (taught.seed, taught.epochs, taught.mixing.kind) == (7, 3, "cutmix")
    assert taught.teacher.path == str(tmp_path / "lines" / "teacher-7" / "classifier.keras")
    assert trainings[7][2].epochs == 1  # the row's own change counts
    assert lines[1]["test"] == {"accuracy": 0.03}
    assert lines[1]["changes"] == {"epochs": 3, "mixing.kind": "cutmix"}
    assert lines[2]["error"] == "ValueError: a negative temperature"
    assert "test" not in lines[2]


def test_makes_what_is_missing_and_nothing_else(recipe, tmp_path, trainings):
    lines = run(ROWS, recipe)
    path = tmp_path / "lines.jsonl"
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join(text[:4]))  # stopped after the first seed
    trainings.clear()
    mended = [*ROWS[:2], Row("broken", changes={"loss.temperature": 1.0}), ROWS[3]]
    for directory in (tmp_path / "lines").glob("*-7"):
        shutil.rmtree(directory)
    again = run(mended, recipe)
    assert [directory.name for kind, directory, _ in trainings if kind != "linear"] == [
        "broken-0",
        *("teacher-7", "taught_mixed-7", "broken-7", "cross_entropy-7"),
    ]
    for number in (0, 1, 3):
        assert again[number] == lines[number]
    assert not any("error" in line for line in again)
    trainings.clear()
    assert run(mended, recipe) == again
    assert not trainings


def test_other_settings_do_not_mix(recipe, trainings):
    run(ROWS, recipe)
    trainings.clear()
    with pytest.raises(ValueError, match="a training of 'teacher' with seed 0 and other settings"):
        run(ROWS, recipe, changes={"epochs": 4})
    assert not trainings
    run(ROWS, recipe, changes={"epochs": 3, "data_dir": "/elsewhere"})
    assert not trainings


def test_mean_and_standard_deviation():
    rows = [Row("a"), Row("b"), Row("c")]
    lines = [
        {"row": "a", "seed": seed, "test": {"accuracy": accuracy}, "seconds": 60.0}
        for seed, accuracy in enumerate([0.5, 0.6, 0.7])
    ]
    lines += [{"row": "b", "seed": 0, "test": {"accuracy": 0.25}, "seconds": 90.0}]
    lines += [{"row": "c", "seed": 0, "error": "ValueError: no", "seconds": 1.0}]
    table = ablation.table(rows, lines).splitlines()[2:]
    assert table == ["| a | 0.6000 ± 0.1000 | 3 | 1.0 |", "| b | 0.2500 | 1 | 1.5 |"]


def test_changes():
    changes = ablation.parse_changes(
        ["epochs=3", "loss.summation=inside", "augmentation.area=(0.5, 1.0)", "linear.epochs=7"]
    )
    config = ablation.changed(digits_small.get_config(), changes)
    assert (config.epochs, config.linear.epochs) == (3, 7)
    assert config.loss.summation == "inside"  # an argument that the recipe leaves at its default
    assert config.augmentation.area == (0.5, 1.0)


@pytest.mark.parametrize(
    "changes", [{"epoch": 3}, {"mixing.knid": 1}, {"linea.epochs": 1}, {"epochs.x": 1}]
)
def test_changes_of_fields_that_are_not_there(changes):
    with pytest.raises(ValueError, match="A change must be of a field .* Received: "):
        ablation.changed(digits_small.get_config(), changes)


def test_a_change_without_a_value():
    with pytest.raises(ValueError, match="`--change` must be NAME=VALUE. Received: 'epochs'"):
        ablation.parse_changes(["epochs"])


def test_a_recipe_without_the_family_that_the_grid_needs(recipe, tmp_path):
    with pytest.raises(ValueError, match="needs the recipe digits_genscl_mix.py beside"):
        run(label_distributions.ROWS, recipe)
    assert not (tmp_path / "lines.jsonl").exists()


def test_every_row_of_the_published_table_has_a_name_of_its_own():
    names = [row.name for row in label_distributions.ROWS]
    assert len(set(names)) == len(names) == 7
    assert np.all([row.teacher in (None, *names) for row in label_distributions.ROWS])
