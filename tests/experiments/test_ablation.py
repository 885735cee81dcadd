"""Grids, with trainings that only note what they were given."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from experiments.configs import digits_small
from experiments.grids import Row, label_distributions
from experiments.lib import ablation, records
from experiments.lib.divergence import Diverged

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
    monkeypatch.setattr(ablation.keras.backend, "clear_session", lambda: None)  # takes seconds
    monkeypatch.setattr(
        ablation,
        "train_linear",
        lambda encoder, config, directory, strategy: train("linear", config, directory),
    )
    return made


def run(rows, recipe, seeds=(0, 7), changes=None):
    lines = ablation.run_grid(
        rows,
        recipe,
        seeds=seeds,
        changes={"epochs": 3} if changes is None else changes,
        path=recipe.with_name("lines.jsonl"),
        strategy=tf.distribute.get_strategy(),
    )
    return list(lines.values())


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
    assert len({directory for _, directory, _ in trainings}) == 8
    taught = trainings[5][2]
    assert (taught.seed, taught.epochs, taught.mixing.kind) == (7, 3, "cutmix")
    assert taught.teacher.path == str(trainings[4][1] / "classifier.keras")
    assert trainings[5][1] == trainings[6][1].parent
    assert trainings[7][2].epochs == 1  # the row's own change counts
    assert lines[1]["test"] == {"accuracy": 0.03}
    assert lines[1]["changes"] == {"epochs": 3, "mixing.kind": "cutmix"}
    assert lines[1]["teacher"]["changes"] == {"epochs": 3, "encoder.width": 0.5}
    assert lines[2]["error"] == "ValueError: a negative temperature"
    assert "test" not in lines[2]


def test_a_training_that_diverges_does_not_stop_the_others(recipe, trainings, monkeypatch):
    def diverge(config, directory, strategy):
        raise Diverged("the loss is nan")

    monkeypatch.setattr(ablation, "train_cross_entropy", diverge)
    first, second = run([ROWS[3], ROWS[0]], recipe, seeds=[0])
    assert first["error"] == "Diverged: the loss is nan"
    assert second["test"] == {"accuracy": 0.03}


def test_makes_what_is_missing_and_nothing_else(recipe, tmp_path, trainings):
    lines = run(ROWS, recipe)
    path = tmp_path / "lines.jsonl"
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join(text[:4]))  # stopped after the first seed
    shutil.rmtree(tmp_path / "lines")
    trainings.clear()
    mended = [*ROWS[:2], Row("broken", changes={"loss.temperature": 1.0}), ROWS[3]]
    again = run(mended, recipe)
    made = [(kind, config.seed) for kind, _, config in trainings if kind != "linear"]
    seven = ["train_teacher", "pretrain", "pretrain", "train_cross_entropy"]
    assert made == [("pretrain", 0), *((kind, 7) for kind in seven)]
    for number in (0, 1, 3):
        assert again[number] == lines[number]
    assert not any("error" in line for line in again)
    trainings.clear()
    # Another grid, in which a training has another name.
    assert run([Row("other", "_cross_entropy", {"epochs": 1})], recipe) == [again[3], again[7]]
    assert not trainings


def test_a_change_to_what_is_there_already_is_the_same_training(recipe, trainings):
    # 40 epochs are the recipe's own.
    rows = [
        Row("as it is"),
        Row("the same", changes={"epochs": 40}),
        Row("4", changes={"epochs": 4}),
    ]
    lines = run(rows, recipe, seeds=[3], changes={})
    assert run(rows, recipe, seeds=[3], changes={}) == lines
    assert [kind for kind, *_ in trainings] == 2 * ["pretrain", "linear"]
    assert lines[0]["test"] == lines[1]["test"] == {"accuracy": 0.403}
    assert [line["row"] for line in lines] == ["as it is", "the same", "4"]


def test_says_how_far_it_is(recipe, trainings, monkeypatch, capsys):
    clock = iter([0.0, 0.0, 60.0, 60.0, 60.0, 100.0, 100.0, 100.0])  # the grid's and the rows' own
    monkeypatch.setattr(ablation.time, "monotonic", lambda: next(clock))
    run([Row("4", changes={"epochs": 4}), Row("5", changes={"epochs": 5})], recipe, seeds=[0])
    assert capsys.readouterr().out.splitlines() == [
        "--- 4, seed 0: 1 of 2",
        "--- 5, seed 0: 2 of 2, about 0:01:00 left",
    ]


def test_a_failed_training_is_tried_again(recipe, trainings, monkeypatch):
    broken = ROWS[2:3]
    (line,) = run(broken, recipe, seeds=[0])
    assert "error" in line
    monkeypatch.setattr(ablation, "_train", lambda *_: {"test": {"accuracy": 0.5}})
    (line,) = run(broken, recipe, seeds=[0])
    assert "error" not in line


def test_a_recipe_that_has_changed(recipe, trainings):
    run(ROWS, recipe)
    trainings.clear()
    cross_entropy = recipe.with_name("digits_cross_entropy.py")
    text = "    config.data_dir = '/elsewhere'\n    return config\n"
    begin = (
        "from experiments.configs import digits_small\n\n"
        "def get_config():\n    config = digits_small.get_config()\n"
    )
    cross_entropy.write_text(begin + text)
    run(ROWS[3:], recipe)
    assert not trainings
    cross_entropy.write_text(begin + "    config.batch_size = 7\n" + text)
    with pytest.raises(ValueError, match="of 'cross-entropy' with seed 0, but the recipe has chan"):
        run(ROWS, recipe)
    assert not trainings


def test_mean_and_standard_deviation():
    rows = [Row("a"), Row("b", changes={"epochs": 2}), Row("c", "_genscl"), Row("d", "_none")]
    lines = {}

    def add(row, seed, **outcome):
        line = {**records.identity("r", row, rows, {"x": 1}, seed), "seconds": 60.0, **outcome}
        lines[records.key(line)] = line

    for seed, accuracy in enumerate([0.5, 0.6, 0.7]):
        add(rows[0], seed, test={"accuracy": accuracy})
    add(rows[1], 0, test={"accuracy": 0.25}, seconds=90.0)
    add(rows[2], 0, error="ValueError: no")
    table = records.table(rows, lines, "r", {"x": 1}).splitlines()[2:]
    assert table == ["| a | 0.6000 ± 0.1000 | 3 | 1.0 |", "| b | 0.2500 | 1 | 1.5 |"]
    assert records.of_row(lines, "r", rows[0], rows) == []  # without the change for all


def test_changes():
    changes = ablation.parse_changes(
        ["epochs=3", "loss.summation=inside", "augmentation.scale=(0.5, 1.0)", "linear.epochs=7"]
    )
    config = ablation.changed(digits_small.get_config(), changes)
    assert (config.epochs, config.linear.epochs) == (3, 7)
    assert config.loss.summation == "inside"  # an argument that the recipe leaves at its default
    assert config.augmentation.scale == (0.5, 1.0)
    loss = {"name": "triplet", "mining": "hard"}
    assert ablation.changed(config, {"loss": loss}).loss.to_dict() == loss


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
