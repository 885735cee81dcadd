"""The commands `train` and `predict` on tiny images, which train in seconds."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import encoders
from supcon_tf.commands import command_line, train
from supcon_tf.commands.remaining_time import RemainingTime
from supcon_tf.commands.saved_models import load_model

ROOT = pathlib.Path(__file__).parents[2]
COLORS = {"blue": (20, 30, 220), "green": (30, 200, 40), "red": (210, 40, 30)}
OPTIONS = ("--encoder", "resnet10x0.125", "--epochs", "12")
pytestmark = pytest.mark.slow


def write_images(directory, color, count, seed):
    """Writes images of 8 x 10 pixels in a color with noise."""
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.clip(rng.normal(color, 40, [8, 10, 3]), 0, 255).astype(np.uint8)
        (directory / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())


def run(*arguments):
    """Runs a command in this process and returns its exit code, or the message of its error."""
    format_warning = warnings.formatwarning
    try:
        command_line.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code
    finally:
        warnings.formatwarning = format_warning


def read_outputs(directory, name="test_outputs.npz"):
    with np.load(directory / name) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module", autouse=True)
def small_encoder():
    """The commands of this process train one convolution, which is traced in less time.

    A process with the wheel alone trains the ResNet.
    """

    def build(depth, *, stem, width, input_shape):
        assert (depth, stem) == (10, "cifar")
        return keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Conv2D(int(64 * width), 3, strides=2),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.GlobalAveragePooling2D(),
            ]
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "resnet", build)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for seed, (name, color) in enumerate(COLORS.items()):
        write_images(root / name, color, 30, seed)
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "trained"
    assert run("train", folder, "--output_dir", directory, *OPTIONS) == 0
    return directory


def test_the_files_of_a_run(trained, folder):
    settings = json.loads((trained / "settings.json").read_text())
    results = json.loads((trained / "results.json").read_text())
    assert settings["class_names"] == list(COLORS)
    assert settings["data"] == str(folder)
    assert settings["test"] is settings["unlabelled"] is settings["minutes"] is None
    assert settings["held_out_fraction"] == 0.1
    assert results["tested_on"] == "held-out training images"
    assert results["test_images"] == 9
    assert results["k_nn_accuracy"] == 1
    assert 1 / 3 < results["unknown_threshold"] < 1
    test, train = read_outputs(trained), read_outputs(trained, "train_outputs.npz")
    assert test["labels"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert len(train["labels"]) == 81
    assert not set(test["paths"]) & set(train["paths"])
    encoder = load_model(trained / "encoder.keras")
    classifier = load_model(trained / "classifier.keras")
    assert classifier.class_names == tuple(COLORS)
    image = tf.io.decode_png(tf.io.read_file(test["paths"][3]))[None, :, 1:9] / 255
    size = settings["image_size"]
    pixels = tf.image.resize(tf.cast(image, tf.float32), [size, size], antialias=True)
    np.testing.assert_allclose(encoder(pixels)[0], test["representations"][3], atol=1e-4)
    np.testing.assert_allclose(classifier(pixels)[0], test["logits"][3], atol=1e-4)
    assert "report" in (trained / "report.html").read_text().lower()
    for stage, epochs in (("pretraining", 12), ("classifier", 24)):
        assert len((trained / stage / "log.csv").read_text().splitlines()) == epochs + 1


def test_a_finished_run_is_not_repeated(trained, folder, capsys):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*.*")}
    assert run("train", folder, "--output_dir", trained, *OPTIONS) == 0
    assert "is finished; nothing to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*.*")} == before


class Killed(Exception):
    pass


def test_a_killed_run_ends_like_an_uninterrupted_one(
    trained, folder, tmp_path, monkeypatch, capsys
):
    arguments = ("train", folder, "--output_dir", tmp_path / "run", *OPTIONS)
    epochs = iter(range(1, 100))

    def stop(self, epoch, logs=None):
        if next(epochs) == 11:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RemainingTime, "on_epoch_end", stop)
        with pytest.raises(Killed):
            run(*arguments)
    assert run(*arguments) == 0
    assert "resuming at step 20," in capsys.readouterr().out
    expected = load_model(trained / "classifier.keras").get_weights()
    for weight, other in zip(
        load_model(tmp_path / "run" / "classifier.keras").get_weights(), expected, strict=True
    ):
        np.testing.assert_array_equal(weight, other)


def test_other_arguments_are_an_error_that_names_them(trained, folder):
    message = run("train", folder, "--output_dir", trained, *OPTIONS, "--seed", "3")
    assert "with other arguments" in message
    assert message.endswith("Received: seed 3 instead of 0")


def test_other_images_are_an_error(trained, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "images")
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "settings.json"
    path.write_text(path.read_text().replace(str(folder), str(tmp_path / "images")))
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "images" / "red" / "0.png").unlink()
    message = run("train", tmp_path / "images", "--output_dir", tmp_path / "run", *OPTIONS)
    assert "holds a run on other images" in message


def remove_class(images):
    shutil.rmtree(images / "red")
    shutil.rmtree(images / "blue")


def damage(images):
    (images / "red" / "5.png").write_bytes(b"no image")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (remove_class, (), "at least two classes"),
        (damage, (), r"red/5.png cannot be read as an image"),
        (None, ("--encoder", "vgg"), "`--encoder` must be"),
        (None, ("--test", "{images}"), "must not be training images"),
        (None, ("--unlabelled", "{images}/red"), "must not be training images"),
        (None, ("--unlabelled", "{images}/empty"), "Received: no such directory"),
        (None, ("--output_dir", "{images}/run"), "must not be in the directory of the images"),
        (None, ("--test", "{images}/missing"), "does not exist"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    folder, tmp_path, change, arguments, message
):
    images = tmp_path / "images"
    shutil.copytree(folder, images)
    if change is not None:
        change(images)
    output = tmp_path / "run"
    given = [argument.format(images=images) for argument in arguments]
    assert message in run("train", images, "--output_dir", output, *given)
    assert not output.exists()


def test_a_directory_with_other_files_is_not_used(folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    assert "a directory with other files" in run("train", folder, "--output_dir", tmp_path)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def predict(directory, *arguments):
    """Returns the exit code of `predict` and the rows of the csv file."""
    output = directory / "predictions.csv"
    code = run("predict", *arguments, "--output", output)
    with output.open(newline="") as file:
        return code, list(csv.DictReader(file))


def probabilities(rows, names):
    return np.array([[float(row[f"probability of {name}"]) for name in names] for row in rows])


def test_predictions(trained, folder, tmp_path):
    paths = [folder / name / "13.png" for name in COLORS]
    code, rows = predict(tmp_path, trained, *paths)
    assert code == 0
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    assert {row["prediction"] for row in rows} <= {*COLORS, "unknown"}
    values = probabilities(rows, COLORS)
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose([float(row["probability"]) for row in rows], values.max(axis=1))
    results = json.loads((trained / "results.json").read_text())
    test = read_outputs(trained)
    _, rows = predict(tmp_path, trained, *test["paths"])
    expected = tf.nn.softmax(test["logits"] / results["temperature"])
    np.testing.assert_allclose(probabilities(rows, COLORS), expected, atol=1e-5)
    for row, value in zip(rows, np.max(expected, axis=1), strict=True):
        assert (row["prediction"] == "unknown") == (value < results["unknown_threshold"])


def test_the_saved_model_predicts_the_same(trained, folder, tmp_path):
    paths = sorted(folder.rglob("*.png"))
    _, rows = predict(tmp_path, trained, folder)
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    loaded = tf.saved_model.load(trained / "saved_model")  # owns the variables of `serve`
    served = loaded.serve(tf.constant([path.read_bytes() for path in paths]))
    np.testing.assert_allclose(
        probabilities(rows, COLORS), served["probabilities"], atol=1e-5, rtol=0
    )
    assert served["class_names"].shape == (90, 3)
    assert served["class_names"][5].numpy().tolist() == [name.encode() for name in COLORS]


def test_a_damaged_image_gets_a_row_and_the_others_a_prediction(trained, folder, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    code, rows = predict(tmp_path, trained, tmp_path / "*.jpg", folder / "red" / "1.png")
    assert code == 1
    assert rows[0]["prediction"] == rows[0]["probability of red"] == ""
    assert "cannot be read as an image" in rows[0]["error"]
    assert rows[1]["error"] == ""
    assert float(rows[1]["probability of red"]) > 1 / 3
    assert "broken.jpg cannot be read" in capsys.readouterr().err


def test_without_a_file_the_predictions_are_printed(trained, folder, capsys):
    assert run("predict", trained, folder / "red" / "1.png") == 0
    assert capsys.readouterr().out.startswith("path,prediction,probability,probability of blue")


def test_new_classes_by_their_means(trained, tmp_path):
    new = {"cyan": (20, 200, 220), "yellow": (220, 210, 30)}
    for seed, (name, color) in enumerate(new.items()):
        write_images(tmp_path / "few" / name, color, 3, 10 + seed)
        write_images(tmp_path / "queries" / name, color, 4, 20 + seed)
    code, rows = predict(tmp_path, trained, tmp_path / "queries", "--classes", tmp_path / "few")
    assert code == 0
    assert [row["prediction"] for row in rows] == ["cyan"] * 4 + ["yellow"] * 4
    served = load_model(trained / "encoder.keras")
    settings = json.loads((trained / "settings.json").read_text())

    def encode(directory):
        paths = sorted(directory.rglob("*.png"))
        images = np.stack([tf.io.decode_png(path.read_bytes())[:, 1:9] for path in paths]) / 255
        size = settings["image_size"]
        rows = served(tf.image.resize(images, [size, size], antialias=True)).numpy()
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    means = np.stack([encode(tmp_path / "few" / name).mean(axis=0) for name in new])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    scores = encode(tmp_path / "queries") @ means.T / settings["temperature"]
    np.testing.assert_allclose(probabilities(rows, new), tf.nn.softmax(scores), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{run}/missing", "x.png"), "no file results.json"),
        (("{run}", "missing*.png"), "must be an image, a directory of images"),
        (("{run}", "{folder}", "--output", "table.xls"), "must end in .csv"),
        (("{run}", "{folder}", "--classes", "{folder}/red"), "one directory of images per class"),
    ],
)
def test_mistakes_in_predict(trained, folder, arguments, message):
    given = [argument.format(run=trained, folder=folder) for argument in arguments]
    assert message in run("predict", *given)


def test_report_and_search(trained, folder, tmp_path, capsys):
    (trained / "report.html").unlink()
    assert run("report", trained) == 0
    assert (trained / "report.html").is_file()
    output = tmp_path / "similar.csv"
    image = folder / "red" / "1.png"
    assert run("search", trained, image, "--top", "3", "--output", output) == 0
    assert len(output.read_text().splitlines()) == 4
    assert str(output) in capsys.readouterr().out


def test_predictions_below_a_file_end_before_the_images_are_read(trained, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    output = tmp_path / "a.png" / "predictions.csv"
    message = run("predict", trained, tmp_path / "a.png", "--output", output)
    assert message.endswith("a.png, which is a file")


def test_an_unfinished_run_cannot_predict(trained, tmp_path):
    shutil.copy(trained / "settings.json", tmp_path)
    assert "run an interrupted one again to finish it. Received: no file results.json" in run(
        "predict", tmp_path, "x.png"
    )


FORBID = """
import runpy, sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"{name} is forbidden", name=name)
sys.meta_path.insert(0, Forbid())
from supcon_tf.commands.command_line import main
for arguments in {commands}:
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 0, end.code
"""
OPTIONAL = ["sklearn", "ml_collections", "pandas", "PIL", "matplotlib", "tensorboard", "cv2"]


def test_several_labels_and_unlabelled_images_with_the_wheel_alone(folder, tmp_path):
    """Also checks that the commands run without optional packages."""
    rows = [
        f"{path},{name};{'even' if int(path.stem) % 2 == 0 else 'odd'}"
        for name in COLORS
        for path in sorted((folder / name).iterdir())
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    write_images(tmp_path / "others", (128, 128, 128), 4, 30)
    directory = tmp_path / "run"
    commands = [
        ["train", tmp_path / "labels.csv", "--unlabelled", tmp_path / "others"],
        ["predict", directory, folder / "red", "--output", tmp_path / "predictions.csv"],
    ]
    commands[0] += ["--output_dir", directory, *OPTIONS]
    code = FORBID.replace("{names}", repr(OPTIONAL)).replace(
        "{commands}", repr([[str(each) for each in command] for command in commands])
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    assert "4 images without a label" in process.stdout
    results = json.loads((directory / "results.json").read_text())
    assert results["k_nn_accuracy"] is None
    assert 0 <= results["test_accuracy"] <= 1
    assert results["mean_average_precision"] > 0.5
    train = read_outputs(directory, "train_outputs.npz")
    assert train["labels"].shape == (len(train["paths"]), 5)
    assert (train["labels"].sum(axis=1) == 2).all()
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum("red" in row["prediction"].split(";") for row in rows) > 7
    values = probabilities(rows, ["blue", "even", "green", "odd", "red"])
    for row, value in zip(rows, values, strict=True):
        names = [
            n
            for n, p in zip(["blue", "even", "green", "odd", "red"], value, strict=True)
            if p >= 0.5
        ]
        assert row["prediction"] == (";".join(names) or "unknown")


def test_help_answers_before_tensorflow_is_imported():
    for command in ([], ["train"], ["predict"], ["report"], ["search"]):
        arguments = [*command, "--help"]
        code = (
            f"import sys, runpy; sys.argv = ['-m', *{arguments}]\n"
            f"sys.orig_argv = ['python', '-m', 'supcon_tf', *{arguments}]\n"
            "try: runpy.run_module('supcon_tf', run_name='__main__', alter_sys=True)\n"
            "finally: print('heavy:', sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
        )
        assert "usage: python -m supcon_tf" in process.stdout, process.stderr
        assert "heavy: []" in process.stdout


def test_an_error_is_one_line_unless_a_traceback_is_demanded(tmp_path, capfd):
    command = [sys.executable, "-m", "supcon_tf", "predict", str(tmp_path), "x.png"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path} must be the directory of a finished")
    with pytest.raises(FileNotFoundError):
        run("predict", tmp_path, "x.png", "--traceback")


def test_a_resumed_run_does_not_measure_its_epochs_again(folder, tmp_path, monkeypatch):
    arguments = ("train", folder, "--output_dir", tmp_path / "run", "--minutes", "2")
    seen = []

    def stop(images, settings, *_, **__):
        seen.append(settings)
        raise Killed

    monkeypatch.setattr(train, "train_encoder", stop)
    for seconds in (1.5, 3.0):
        monkeypatch.setattr(train, "measure_epochs", lambda *_, s=seconds: (s, 0.1))
        with pytest.raises(Killed):
            run(*arguments)
    assert seen[0] == seen[1]
    assert 60 < seen[0].epochs < 80
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["minutes"] == 2
