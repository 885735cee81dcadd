"""Grids, with trainings that only record their arguments."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from experiments.configs import digits_small
from experiments.grids import Row, few_labels, label_distributions, methods, select_rows
from experiments.lib import ablation, training_records
from experiments.lib.name_value_flags import parse_changes
from experiments.lib.tables import accuracy_table
from supcon_tf.commands.divergence import TrainingDiverged

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"
ROWS = [
    Row("teacher", "_teacher", {"encoder.width": 0.5}),
    Row("student, mixed", "_genscl", {"mixing.kind": "cutmix"}, teacher="teacher"),
    Row("broken", changes={"loss.temperature": -1.0}),
    Row("cross-entropy", "_cross_entropy", {"epochs": 1}),
]


@pytest.fixture
def recipe(tmp_path):
    for suffix in ("", "_teacher", "_genscl", "_cross_entropy", "_fine_tuning"):
        (tmp_path / f"digits{suffix}.py").write_text(
            "from experiments.configs.digits_small import get_config\n"
        )
    return tmp_path / "digits.py"


@pytest.fixture
def trainings(monkeypatch):
    """Replaces trainings by functions that only record their arguments."""
    trained = []

    def train(kind, config, directory):
        if config.loss.temperature < 0:
            raise ValueError("a negative temperature")
        if kind == "linear":
            assert directory.name == "linear"
        trained.append((kind, directory, config))
        directory.mkdir(parents=True, exist_ok=True)
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
    return trained


def run(rows, recipe, seeds=(0, 7), changes=None):
    records = ablation.run_grid(
        rows,
        recipe,
        seeds=seeds,
        changes={"epochs": 3} if changes is None else changes,
        path=recipe.with_name("records.jsonl"),
        strategy=tf.distribute.get_strategy(),
    )
    return list(records.values())


def test_trains_every_row_with_every_seed(recipe, tmp_path, trainings):
    records = run(ROWS, recipe)
    assert [
        json.loads(record) for record in (tmp_path / "records.jsonl").read_text().splitlines()
    ] == records
    assert [(record["row"], record["seed"]) for record in records] == [
        (row.name, seed) for seed in (0, 7) for row in ROWS
    ]
    kinds = ["train_teacher", "pretrain", "linear", "train_cross_entropy"]
    assert [kind for kind, *_ in trainings] == 2 * kinds
    assert len({directory for _, directory, _ in trainings}) == 8
    student = trainings[5][2]
    assert (student.seed, student.epochs, student.mixing.kind) == (7, 3, "cutmix")
    assert student.teacher.path == str(trainings[4][1] / "classifier.keras")
    assert trainings[5][1] == trainings[6][1].parent
    assert trainings[7][2].epochs == 1  # The change of the row has precedence.
    assert records[1]["test"] == {"accuracy": 0.03}
    assert records[1]["changes"] == {"epochs": 3, "mixing.kind": "cutmix"}
    assert records[1]["teacher"]["changes"] == {"epochs": 3, "encoder.width": 0.5}
    assert records[2]["error"] == "ValueError: a negative temperature"
    assert "test" not in records[2]


def test_a_row_with_an_encoder_trains_the_second_stage_only(
    recipe, tmp_path, trainings, monkeypatch
):
    train_linear = ablation.train_linear

    def train(encoder, *arguments):
        encoders.append(encoder)
        train_linear(encoder, *arguments)

    encoders = []
    monkeypatch.setattr(ablation, "train_linear", train)
    rows = [
        Row("cross-entropy", "_cross_entropy", {"epochs": 1}),
        Row("SupCon"),
        Row("fine-tuned", "_fine_tuning", encoder="SupCon"),
        Row("fine-tuned cross-entropy", "_fine_tuning", encoder="cross-entropy"),
    ]
    records = run(rows, recipe, seeds=[0])
    kinds = [kind for kind, *_ in trainings]
    assert kinds == ["train_cross_entropy", "pretrain", "linear", "linear", "linear"]
    runs = [tmp_path / "records" / record["run"] for record in records]
    assert encoders == [runs[k] / "encoder.keras" for k in (1, 1, 0)]
    assert [directory for _, directory, _ in trainings[3:]] == [
        each / "linear" for each in runs[2:]
    ]
    assert records[2]["encoder"] == training_records.identity(
        "digits", rows[1], rows, {"epochs": 3}, 0
    )
    trainings.clear()
    assert run(rows, recipe, seeds=[0]) == records
    assert not trainings


@pytest.mark.parametrize("field", ["teacher", "encoder"])
def test_files_of_a_finished_training_are_gone(recipe, tmp_path, trainings, field):
    (record,) = run([ROWS[0]], recipe, seeds=[0])
    trainings.clear()
    user = Row("user", "_genscl", {"epochs": 1}, **{field: "teacher"})
    file = {"teacher": "classifier.keras", "encoder": "encoder.keras"}[field]
    with pytest.raises(FileNotFoundError, match=rf"to train them again.*/{record['run']}/{file}"):
        run([ROWS[0], user], recipe, seeds=[0])
    assert not trainings
    (directory_of(ROWS[0], tmp_path) / file).touch()
    run([ROWS[0], user], recipe, seeds=[0])
    assert trainings


def test_a_failed_teacher_has_no_files_yet(recipe, trainings, monkeypatch):
    train_teacher = ablation.train_teacher
    monkeypatch.setattr(ablation, "train_teacher", lambda *arguments: 1 / 0)
    assert "error" in run(ROWS[:1], recipe, seeds=[0])[0]
    monkeypatch.setattr(ablation, "train_teacher", train_teacher)
    run(ROWS[:2], recipe, seeds=[0])
    assert [kind for kind, *_ in trainings] == ["train_teacher", "pretrain", "linear"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Row("student", "_genscl", teacher="teacher"), ROWS[0]], "only rows before it"),
        ([Row("a"), Row("b", "_cross_entropy", encoder="a")], "must have a second stage"),
        ([Row("a"), Row("b", encoder="a"), Row("c", encoder="b")], "a row without an encoder"),
    ],
)
def test_rows_that_cannot_be_used(recipe, trainings, rows, message):
    with pytest.raises(ValueError, match=message):
        run(rows, recipe)
    assert not trainings


def test_selects_rows_with_those_that_they_use():
    rows = select_rows(label_distributions.ROWS, "SupCon.*distill.*|cross-entropy")
    assert [row.name for row in rows] == ["teacher", "SupCon + distillation", "cross-entropy"]
    rows = select_rows(few_labels.ROWS, "SimCLR, 100 labels")
    assert [row.name for row in rows] == ["SimCLR", "SimCLR, 100 labels"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("SupCo", r"'SupCon \+ both'.*'SupCo'$"), ("(64|512", r"subpattern.*'\(64\|512'$")],
)
def test_rows_that_cannot_be_selected(pattern, message):
    with pytest.raises(ValueError, match=message):
        select_rows(label_distributions.ROWS, pattern)


def test_the_keys_of_committed_records():
    records = training_records.read(RESULTS / "cifar10_small.jsonl")
    for row in methods.ROWS:
        assert len(training_records.select(records, "cifar10_small", row, methods.ROWS)) == 5


def test_the_directory_of_the_data_does_not_identify_a_training(recipe, trainings):
    first = run([ROWS[3]], recipe, seeds=[0], changes={"data_dir": "here"})
    assert trainings[0][2].data_dir == "here"
    assert first[0]["changes"] == {"epochs": 1}
    assert run([ROWS[3]], recipe, seeds=[0], changes={"data_dir": "there"}) == first
    assert len(trainings) == 1


def test_a_training_that_diverges_does_not_stop_the_others(recipe, trainings, monkeypatch):
    def diverge(config, directory, strategy):
        raise TrainingDiverged("the loss is nan")

    monkeypatch.setattr(ablation, "train_cross_entropy", diverge)
    first, second = run([ROWS[3], ROWS[0]], recipe, seeds=[0])
    assert first["error"] == "TrainingDiverged: the loss is nan"
    assert second["test"] == {"accuracy": 0.03}


def test_trains_only_what_has_no_result(recipe, tmp_path, trainings):
    records = run(ROWS, recipe)
    path = tmp_path / "records.jsonl"
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join(text[:4]))  # Interrupted after the first seed.
    shutil.rmtree(tmp_path / "records")
    trainings.clear()
    mended = [*ROWS[:2], Row("broken", changes={"loss.temperature": 1.0}), ROWS[3]]
    again = run(mended, recipe)
    trained = [(kind, config.seed) for kind, _, config in trainings if kind != "linear"]
    seven = ["train_teacher", "pretrain", "pretrain", "train_cross_entropy"]
    assert trained == [("pretrain", 0), *((kind, 7) for kind in seven)]
    for number in (0, 1, 3):
        assert again[number] == records[number]
    assert not any("error" in record for record in again)
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
    records = run(rows, recipe, seeds=[3], changes={})
    assert run(rows, recipe, seeds=[3], changes={}) == records
    assert [kind for kind, *_ in trainings] == 2 * ["pretrain", "linear"]
    assert records[0]["test"] == records[1]["test"] == {"accuracy": 0.403}
    assert [record["row"] for record in records] == ["as it is", "the same", "4"]
    runs = [ablation.run_directory(recipe.with_name("records.jsonl"), each) for each in records]
    assert runs[0] == runs[1] == trainings[0][1]
    assert runs[2] == trainings[2][1]


def test_prints_its_progress(recipe, trainings, monkeypatch, capsys):
    clock = iter([0.0, 0.0, 60.0, 60.0, 60.0, 100.0, 100.0, 100.0])  # the grid's and the rows' own
    monkeypatch.setattr(ablation.time, "monotonic", lambda: next(clock))
    run([Row("4", changes={"epochs": 4}), Row("5", changes={"epochs": 5})], recipe, seeds=[0])
    assert capsys.readouterr().out.splitlines() == [
        "--- 4, seed 0: 1 of 2",
        "--- 5, seed 0: 2 of 2, about 0:01:00 left",
    ]


def test_a_failed_training_is_tried_again(recipe, trainings, monkeypatch):
    broken = ROWS[2:3]
    (record,) = run(broken, recipe, seeds=[0])
    assert "error" in record
    monkeypatch.setattr(ablation, "_train", lambda *_: {"test": {"accuracy": 0.5}})
    (record,) = run(broken, recipe, seeds=[0])
    assert "error" not in record


def directory_of(row, tmp_path):
    """Returns the directory of the run that `run` trains with seed 0."""
    identity = training_records.identity("digits", row, ROWS, {"epochs": 3}, 0)
    return tmp_path / "records" / ablation._run_name(identity)


def run_elsewhere(row, rows, path, **outcome):
    """Writes the record of a training as another process does."""
    identity = training_records.identity("digits", row, rows, {"epochs": 3}, 0)
    record = {"row": row.name, **identity, "settings": "", "run": "elsewhere", **outcome}
    training_records.add(path, record)


def test_leaves_the_trainings_of_other_processes(
    recipe, tmp_path, trainings, lock_elsewhere, capsys
):
    lock_elsewhere(directory_of(ROWS[0], tmp_path))
    fine_tuned = Row("fine-tuned", "_fine_tuning", encoder="teacher")
    records = run([ROWS[0], ROWS[1], fine_tuned, ROWS[3]], recipe, seeds=[0])
    # The process that trains the teacher then trains the student.
    assert [kind for kind, *_ in trainings] == ["train_cross_entropy"]
    assert [each["row"] for each in records] == ["cross-entropy"]
    assert "run the command again: teacher, student, mixed, fine-tuned" in capsys.readouterr().out


@pytest.mark.parametrize("outcome", [{"test": {"accuracy": 0.5}}, {"error": "ValueError: no"}])
def test_takes_over_the_results_of_other_processes(
    recipe, tmp_path, trainings, monkeypatch, outcome
):
    rows, path = [ROWS[0], ROWS[3]], tmp_path / "records.jsonl"
    run_elsewhere(rows[1], rows, path, error="ValueError: an earlier one")
    train_teacher = ablation.train_teacher

    def train(config, directory, strategy):
        train_teacher(config, directory, strategy)
        run_elsewhere(rows[1], rows, path, **outcome)

    monkeypatch.setattr(ablation, "train_teacher", train)
    records = run(rows, recipe, seeds=[0])
    assert [kind for kind, *_ in trainings] == ["train_teacher"]
    assert [each["row"] for each in records] == ["teacher", "cross-entropy"]
    assert outcome.items() <= records[1].items()
    assert len(path.read_text().splitlines()) == 2


def test_several_workers_take_all_trainings_at_the_start(
    recipe, tmp_path, trainings, lock_elsewhere, monkeypatch
):
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", tf.distribute.Strategy)
    monkeypatch.setattr(ablation.supcon_tf.distribution, "is_chief", lambda strategy: True)
    directory = directory_of(ROWS[3], tmp_path)
    lock_elsewhere(directory)
    with pytest.raises(RuntimeError, match=f"{directory.name} is in use by process"):
        run([ROWS[0], ROWS[3]], recipe, seeds=[0])
    assert not trainings


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
    records = {}

    def add(row, seed, **outcome):
        record = {
            **training_records.identity("r", row, rows, {"x": 1}, seed),
            "seconds": 60.0,
            **outcome,
        }
        records[training_records.key(record)] = record

    for seed, accuracy in enumerate([0.5, 0.6, 0.7]):
        add(rows[0], seed, test={"accuracy": accuracy})
    add(rows[1], 0, test={"accuracy": 0.25}, seconds=90.0)
    add(rows[2], 0, error="ValueError: no")
    table = accuracy_table(rows, records, "r", {"x": 1}).splitlines()[2:]
    assert table == ["| a | 0.6000 ± 0.1000 | 3 | 1.0 |", "| b | 0.2500 | 1 | 1.5 |"]
    assert training_records.select(records, "r", rows[0], rows) == []  # without the change for all


def test_changes():
    changes = parse_changes(
        ["epochs=3", "loss.summation=inside", "augmentation.scale=(0.5, 1.0)", "linear.epochs=7"]
    )
    config = ablation.apply_changes(digits_small.get_config(), changes)
    assert (config.epochs, config.linear.epochs) == (3, 7)
    assert config.loss.summation == "inside"  # an argument that the recipe leaves at its default
    assert config.augmentation.scale == (0.5, 1.0)
    loss = {"name": "triplet", "mining": "hard"}
    assert ablation.apply_changes(config, {"loss": loss}).loss.to_dict() == loss


@pytest.mark.parametrize(
    "changes", [{"epoch": 3}, {"mixing.knid": 1}, {"linea.epochs": 1}, {"epochs.x": 1}]
)
def test_changes_of_fields_that_are_not_there(changes):
    with pytest.raises(ValueError, match="A change must be to a field of the recipe. Received: "):
        ablation.apply_changes(digits_small.get_config(), changes)


def test_a_change_without_a_value():
    with pytest.raises(ValueError, match="`--change` must be FIELD=VALUE. Received: 'epochs'"):
        parse_changes(["epochs"])


def test_a_recipe_without_the_family_that_the_grid_needs(recipe, tmp_path):
    with pytest.raises(ValueError, match=r"digits_genscl_mix.py must exist. Received: --config="):
        run(label_distributions.ROWS, recipe)
    assert not (tmp_path / "records.jsonl").exists()


def test_every_row_of_the_published_table_has_a_name_of_its_own():
    names = [row.name for row in label_distributions.ROWS]
    assert len(set(names)) == len(names) == 7
    assert np.all([row.teacher in (None, *names) for row in label_distributions.ROWS])
