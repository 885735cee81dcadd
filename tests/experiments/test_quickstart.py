import json

import numpy as np
import pytest
from absl import flags


@pytest.fixture
def run(run_script, tmp_path):
    """Runs the script with flags, writing to `tmp_path / "out"`."""

    def run(*arguments):
        run_script("quickstart", f"--output_dir={tmp_path / 'out'}", *arguments)
        return tmp_path / "out"

    return run


TINY = ("--epochs=2", "--train_images=200", "--batch_size=64")


@pytest.mark.slow
def test_trains_both_methods_and_writes_results_and_pictures(run, capsys):
    output_dir = run(*TINY, "--seed=3", "--hold_out=100", "--temperature=0.2")
    results = json.loads((output_dir / "results.json").read_text())
    assert results["train_images"] == 200
    assert results["test_images"] == 100
    assert results["tested_on"] == "held-out training images"
    assert results["seed"] == 3
    assert results["settings"]["temperature"] == 0.2
    assert set(results["methods"]) == {"supcon", "cross_entropy"}
    for method in results["methods"].values():
        assert 0 <= method["accuracy"] <= 1
        assert method["knn_accuracy"] > 0.3  # chance is 0.1
        assert method["seconds"] > 0
        assert len(method["loss"]) == 2
    for picture in ("curves.png", "embeddings.png"):
        assert (output_dir / picture).read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in output_dir.iterdir()} == {
        "results.json",
        "curves.png",
        "curves.svg",
        "embeddings.png",
        "embeddings.svg",
    }
    assert "| SupCon + linear classifier | " in capsys.readouterr().out


def test_warmup_cosine(load_script):
    quickstart = load_script("quickstart")
    rates = [float(quickstart.warmup_cosine(0.2, 512, 100)(step)) for step in range(101)]
    np.testing.assert_allclose(rates[:6], np.linspace(0, 0.4, 6), rtol=1e-5)
    expected = 0.4 * (1 + np.cos(np.pi * np.arange(96) / 95)) / 2
    np.testing.assert_allclose(rates[5:], expected, atol=1e-6)


def test_a_damaged_file_leaves_nothing_behind(run, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte"):
        run("--dataset=fashion_mnist", f"--idx_dir={data}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--temperature=-1"], flags.IllegalFlagValueError, "temperature.*above 0"),
        (["--supcon_learning_rate=0"], flags.IllegalFlagValueError, "above 0"),
        (["--epochs=0"], flags.IllegalFlagValueError, "epochs"),
        (["--hold_out=5000"], ValueError, "`hold_out`.*5000 of 1437"),
        (["--batch_size=2000"], ValueError, "`batch_size`.*2000, 1437 images"),
        (["--dataset=fashion_mnist", "--idx_dir=/nowhere"], FileNotFoundError, "/nowhere"),
    ],
)
def test_bad_flags(run, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not list(tmp_path.glob("out/*"))
