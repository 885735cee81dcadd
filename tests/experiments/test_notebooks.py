import json
import pathlib

import jupytext
import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.data import load_digits

DIRECTORY = pathlib.Path(__file__).parents[2] / "experiments"
NOTEBOOKS = sorted(path.stem for path in DIRECTORY.glob("*.ipynb"))
TINY = {
    "DEPTH": 10,
    "WIDTH": 0.125,
    "EPOCHS": 2,
    "LINEAR_EPOCHS": 10,
    "BATCH_SIZE": 128,
}


def cells(notebook):
    return [
        (cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", []))
        for cell in notebook["cells"]
    ]


def code(name, tag):
    script = jupytext.read(DIRECTORY / f"{name}.py")
    return next(source for _, source, tags in cells(script) if tag in tags)


def run_notebook(name, parameters, monkeypatch):
    """Runs a notebook with changed parameters, and returns its variables."""
    matplotlib.use("Agg")
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    names = {}
    for kind, source, tags in cells(json.loads((DIRECTORY / f"{name}.ipynb").read_text())):
        if kind != "code" or "install" in tags:
            continue
        exec(compile(source, f"{name}.ipynb", "exec"), names)
        if "parameters" in tags:
            assert set(parameters) <= set(names)
            names.update(parameters)
    return names


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def test_there_are_notebooks():
    assert NOTEBOOKS == ["colab_gpu", "colab_tpu"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_up_to_date(name):
    script = jupytext.read(DIRECTORY / f"{name}.py")
    notebook = json.loads((DIRECTORY / f"{name}.ipynb").read_text())
    assert cells(notebook) == cells(script), "run `make notebooks`"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_installs_the_wheel_of_this_version(name):
    # Without a release, no name of a package can be installed.
    assert f'"supcon_tf-{supcon_tf.__version__}-py3-none-any.whl"' in code(name, "install")


def test_executions_of_the_tpu_notebook_divide_an_epoch():
    parameters = {}
    exec(code("colab_tpu", "parameters"), parameters)
    steps = 50_000 // parameters["BATCH_SIZE"]
    assert steps % parameters["STEPS_PER_EXECUTION"] == 0


@pytest.mark.docs
@pytest.mark.slow
def test_tpu_notebook_runs(capsys, monkeypatch, policy):
    parameters = {"STRATEGY": "one_device", "DATASET": "digits", "STEPS_PER_EXECUTION": 2}
    names = run_notebook("colab_tpu", TINY | parameters, monkeypatch)
    assert "test accuracy: " in capsys.readouterr().out
    assert names["accuracy"] > 0.3  # chance is 0.1


@pytest.mark.docs
@pytest.mark.slow
def test_gpu_notebook_runs_on_a_folder(capsys, monkeypatch, tmp_path, policy):
    for split in ("train", "test"):
        digits = load_digits(split)
        some = digits.take(np.arange(256))
        for number, (image, label) in enumerate(zip(some.images, some.labels, strict=True)):
            directory = tmp_path / "photos" / split / f"digit {label}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{number}.png").write_bytes(tf.io.encode_png(image).numpy())
    monkeypatch.chdir(tmp_path)
    parameters = {"FOLDER": "photos", "OUTPUT_DIR": "out", "SIZE": 8, "CHANNELS": 1, "FLIP": False}
    names = run_notebook("colab_gpu", TINY | parameters, monkeypatch)
    assert names["encoder"].compute_dtype == "float16"
    assert 0 < names["accuracy"] <= 1
    assert names["classifier"].class_names[0] == "digit 0"
    assert "test accuracy: " in capsys.readouterr().out
