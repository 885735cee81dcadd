import json
import pathlib

import jupytext
import matplotlib
import pytest

DIRECTORY = pathlib.Path(__file__).parents[2] / "experiments"
TINY = {
    "STRATEGY": "one_device",
    "DATASET": "digits",
    "DEPTH": 10,
    "WIDTH": 0.125,
    "EPOCHS": 2,
    "LINEAR_EPOCHS": 20,
    "BATCH_SIZE": 128,
    "STEPS_PER_EXECUTION": 2,
}


def cells(notebook):
    return [
        (cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", []))
        for cell in notebook["cells"]
    ]


def test_the_notebook_is_up_to_date():
    script = jupytext.read(DIRECTORY / "colab_tpu.py")
    notebook = json.loads((DIRECTORY / "colab_tpu.ipynb").read_text())
    assert cells(notebook) == cells(script), "run `make notebook`"


@pytest.mark.slow
def test_notebook_runs(capsys, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    notebook = json.loads((DIRECTORY / "colab_tpu.ipynb").read_text())
    names = {}
    for kind, source, tags in cells(notebook):
        if kind != "code" or "install" in tags:
            continue
        exec(compile(source, "colab_tpu.ipynb", "exec"), names)
        if "parameters" in tags:
            assert set(TINY) <= set(names)
            names.update(TINY)
    assert "test accuracy: " in capsys.readouterr().out
    assert names["accuracy"] > 0.5  # chance is 0.1
