import csv
import json
import pathlib
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

CONFIGS = pathlib.Path(__file__).parents[2] / "experiments" / "configs"
TINY = (
    f"--config={CONFIGS / 'digits_small.py'}",
    "--config.train_images=320",
    "--config.batch_size=32",
    "--config.image_size=8",
    "--config.test_short_side=8",
    "--config.encoder.width=0.25",
    "--config.epochs=4",
    "--config.linear.epochs=3",
)


@pytest.mark.slow
def test_both_stages_and_what_they_write(run_script, tmp_path, capsys):
    run_script("pretrain", *TINY, f"--output_dir={tmp_path}")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["config"]["batch_size"] == 32
    assert results["versions"]["keras"] == keras.__version__
    if shutil.which("git") and (CONFIGS.parents[1] / ".git").exists():
        command = ["git", "-C", CONFIGS, "rev-parse", "HEAD"]
        head = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        commit = results["versions"].get("commit", "").removesuffix("-dirty")
        assert head.startswith(commit)
        assert bool(commit) == bool(head)  # Git refuses directories of other users.
    assert results["class_names"] == [*"0123456789"]
    names = {"alignment", "uniformity", "nearest_neighbor_accuracy", "positive_fraction"}
    assert set(results["history"]) == {*names, "loss", "learning_rate"}
    assert all(len(values) == 4 for values in results["history"].values())
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    assert [float(row["loss"]) for row in rows] == results["history"]["loss"]
    assert list((tmp_path / "tensorboard" / "train").glob("events*"))
    assert not list(tmp_path.glob(".[0-9]*"))  # No incomplete files.

    digits = supcon_tf.data.load_digits("test")
    images = digits.images[:5] / np.float32(255)
    encoder = keras.saving.load_model(tmp_path / "encoder.keras")
    expected = encoder.predict(images, verbose=0)
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    served = loaded.serve(images)
    np.testing.assert_allclose(served, expected, atol=1e-5)
    vectors = np.loadtxt(tmp_path / "tensorboard" / "vectors.tsv")
    np.testing.assert_allclose(vectors[:5], expected, rtol=1e-4, atol=1e-5)
    metadata = (tmp_path / "tensorboard" / "metadata.tsv").read_text().split()
    assert metadata == [str(label) for label in digits.labels]

    # Running the same command again trains nothing.
    capsys.readouterr()
    run_script("pretrain", *TINY, f"--output_dir={tmp_path}", "--config.checkpoints_kept=3")
    assert "resuming at step 40" in capsys.readouterr().out
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    for weight, old in zip(again.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, old)

    run_script("linear_eval", *TINY, f"--output_dir={tmp_path}")
    results = json.loads((tmp_path / "linear" / "results.json").read_text())
    assert results["test_images"] == 360
    assert results["class_names"] == [*"0123456789"]
    assert results["tested_on"] == "test set"
    assert results["test"]["accuracy"] > 0.3  # chance is 0.1
    assert len(results["history"]["accuracy"]) == 3
    classifier = keras.saving.load_model(tmp_path / "linear" / "classifier.keras")
    assert classifier.class_names == digits.class_names
    pixels = digits.images / np.float32(255)
    right = classifier.predict(pixels, verbose=0).argmax(axis=1) == digits.labels
    assert results["test"]["accuracy"] == pytest.approx(right.mean(), abs=1e-3)
    for weight, old in zip(classifier.encoder.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.slow
def test_cross_entropy(run_script, tmp_path):
    name = "digits_small_cross_entropy.py"
    run_script("cross_entropy", f"--config={CONFIGS / name}", *TINY[1:], f"--output_dir={tmp_path}")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["test"]["accuracy"] > 0.3
    assert 0 < results["test"]["top_5_accuracy"] <= 1
    classifier = keras.saving.load_model(tmp_path / "classifier.keras")
    assert classifier.class_names == (*"0123456789",)
    encoder = keras.saving.load_model(tmp_path / "encoder.keras")
    images = np.random.default_rng(0).random([2, 8, 8, 1], "float32")
    np.testing.assert_array_equal(encoder(images), classifier.encoder(images))


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
def test_a_teacher_and_its_student(run_script, tmp_path):
    recipe = tmp_path / "teacher.py"
    recipe.write_text(
        "from experiments.configs import digits_small_cross_entropy\n\n"
        "def get_config():\n"
        "    config = digits_small_cross_entropy.get_config()\n"
        "    config.average_momentum = 0.5\n"
        "    return config\n"
    )
    mixed = (*TINY[1:], "--config.epochs=1", "--config.mixing.kind=mixup_cutmix")
    run_script(
        "train_teacher", f"--config={recipe}", *mixed, f"--output_dir={tmp_path / 'teacher'}"
    )
    path = tmp_path / "teacher" / "classifier.keras"
    teacher = keras.saving.load_model(path)
    assert type(teacher) is supcon_tf.CrossEntropyModel
    digits = supcon_tf.data.load_digits("test")
    right = teacher.predict(digits.images / np.float32(255), verbose=0).argmax(1) == digits.labels
    results = json.loads((tmp_path / "teacher" / "results.json").read_text())
    assert results["test"]["accuracy"] == pytest.approx(right.mean(), abs=1e-3)

    student = (TINY[0], *mixed, "--config.loss.name=generalized", f"--config.teacher.path={path}")
    run_script("pretrain", *student, f"--output_dir={tmp_path / 'student'}")
    results = json.loads((tmp_path / "student" / "results.json").read_text())
    assert len(results["history"]["distillation_loss"]) == 1
    assert (tmp_path / "student" / "encoder.keras").stat().st_size < 2 * path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--config.batchsize=3"], AttributeError, "batchsize"),
        (["--config.loss.temprature=3"], AttributeError, "temprature"),
        (["--config.batch_size=2000"], ValueError, "`batch_size`.*2000, 320 images"),
        (["--config.epochs=0"], ValueError, "`epochs` must be an integer of at least 1"),
        (["--config.image_size=4"], ValueError, "at least 8 pixels"),
        (["--config.dataset=cifar10"], ValueError, "`data_dir` must be the directory of 'cifar10'"),
        (
            ["--config.dataset=cifar10", "--config.data_dir=/nowhere"],
            FileNotFoundError,
            "`data_dir` must be an existing directory.*/nowhere",
        ),
        (["--config.images_per_class=5"], ValueError, "`images_per_class` must divide"),
        (["--config.mixing.kind=cutmixup"], ValueError, "`kind` must be one of.*'cutmixup'"),
        (["--config.mixing.kind=cutmix"], ValueError, "GeneralizedSupConLoss"),
        (
            ["--config.loss.name=generalized", "--config.teacher.path=/nowhere.keras"],
            FileNotFoundError,
            "`teacher.path`.*train_teacher.*/nowhere.keras",
        ),
        (["--config.labeled_fraction=2.0"], ValueError, "`labeled_fraction` must be from 0 to 1"),
    ],
)
def test_bad_input_is_an_error_before_anything_is_written(
    run_script, tmp_path, arguments, error, message
):
    output_dir = tmp_path / "out"
    with pytest.raises(error, match=message):
        run_script("pretrain", *TINY, f"--output_dir={output_dir}", *arguments)
    assert not output_dir.exists()


@pytest.mark.slow
def test_a_queue_that_the_batch_does_not_divide(run_script, tmp_path):
    config = tmp_path / "queue.py"
    config.write_text(
        "from experiments.configs import digits_small\n"
        "from ml_collections import ConfigDict\n\n"
        "def get_config():\n"
        "    config = digits_small.get_config()\n"
        "    config.momentum_encoder = ConfigDict(dict(queue_size=100, momentum=0.9))\n"
        "    return config\n"
    )
    with pytest.raises(ValueError, match="`queue_size` must be a multiple of the global batch"):
        run_script("pretrain", f"--config={config}", *TINY[1:], f"--output_dir={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_second_stage_needs_the_first(run_script, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="`--encoder` must be an existing file.*experiments.pretrain"
    ):
        run_script("linear_eval", *TINY, f"--output_dir={tmp_path}")
    assert not list(tmp_path.iterdir())
