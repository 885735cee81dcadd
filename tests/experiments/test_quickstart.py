import json

import pytest


@pytest.fixture
def run(run_script, small_encoders, tmp_path):
    """Runs the script with flags, writing to `tmp_path / "out"`."""

    def run(*arguments):
        run_script("quickstart", f"--output_dir={tmp_path / 'out'}", *arguments)
        return tmp_path / "out"

    return run


TINY = (
    "--change=epochs=2",
    "--change=linear.epochs=10",
    "--change=train_images=200",
    "--change=batch_size=64",
)


@pytest.mark.slow
def test_trains_both_methods_and_writes_results_and_pictures(run, capsys):
    flags = (*TINY, "--seed=3", "--change=hold_out=100")
    output_dir = run(*flags)
    results = json.loads((output_dir / "results.json").read_text())
    assert results["train_images"] == 200
    assert results["test_images"] == 100
    assert results["tested_on"] == "held-out training images"
    assert results["seed"] == 3
    assert results["changes"]["batch_size"] == 64
    assert list(results["methods"]) == ["SupCon + linear classifier", "cross-entropy"]
    records = (output_dir / "records.jsonl").read_text()
    for method, record in zip(results["methods"].values(), records.splitlines(), strict=True):
        assert method["accuracy"] == json.loads(record)["test"]["accuracy"]
        assert method["knn_accuracy"] > 0.3  # chance is 0.1
        assert 0 <= method["expected_calibration_error"] <= 1
        assert method["seconds"] > 0
        assert len(method["loss"]) == 2
    for picture in ("curves.png", "embeddings.png"):
        assert (output_dir / picture).read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in output_dir.glob("[!.]*")} == {
        "results.json",
        "curves.png",
        "curves.svg",
        "embeddings.png",
        "embeddings.svg",
        "records.jsonl",
        "records",
    }
    assert "| SupCon + linear classifier | " in capsys.readouterr().out
    # The same command trains nothing.
    run(*flags)
    assert (output_dir / "records.jsonl").read_text() == records
    assert json.loads((output_dir / "results.json").read_text()) == results


def test_a_damaged_file_leaves_nothing_behind(run, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte"):
        run("--dataset=fashion_mnist", f"--change=data_dir={data}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--change=epoch=2"], ValueError, "A change must be to a field of the recipe"),
        (["--change=hold_out=5000"], ValueError, "`hold_out`.*5000 of 1437"),
        (
            ["--dataset=fashion_mnist", "--change=data_dir=/nowhere"],
            FileNotFoundError,
            "/nowhere",
        ),
    ],
)
def test_bad_flags(run, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("loss.temperature=-1", "ValueError: `temperature` must be a finite number above 0"),
        ("batch_size=2000", "ValueError: `batch_size`.*2000, 200 images"),
    ],
)
def test_a_failed_training_is_an_error(run, tmp_path, change, message):
    with pytest.raises(SystemExit, match=message):
        run(*TINY, f"--change={change}")
    assert not (tmp_path / "out" / "results.json").exists()
