import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, color in (("dark", 40), ("light", 200)):
        directory = tmp_path / "photos" / "train" / name
        directory.mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(rng.normal(color, 20, [8, 8, 1]), 0, 255).astype(np.uint8)
            (directory / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    return tmp_path / "photos"


@pytest.mark.slow
def test_a_trial_is_trained_once(run_script, folder, tmp_path, capsys):
    arguments = [
        f"--folder={folder}",
        "--epochs=1",
        "--hold_out=0.25",
        "--trials=batch x 0.5",
        f"--output_dir={tmp_path / 'trials'}",
    ]
    run_script("command_trials", *arguments)
    (record,) = map(json.loads, (tmp_path / "trials" / "records.jsonl").read_text().splitlines())
    assert record["data"] == "photos"
    assert record["changes"]["batch_size"] == 15  # half of the 30 training images
    assert (record["train_images"], record["test_images"]) == (30, 10)
    table = capsys.readouterr().out
    assert f"| batch x 0.5 | {record['accuracy']:.4f} |" in table

    run_script("command_trials", *arguments)
    assert capsys.readouterr().out == table[table.index("| trial") :]


def test_an_unknown_trial_is_an_error(run_script, folder, tmp_path):
    with pytest.raises(ValueError, match="`--trials` must be some of .*Received: \\['bigger'\\]"):
        run_script(
            "command_trials",
            f"--folder={folder}",
            "--trials=bigger",
            f"--output_dir={tmp_path / 'trials'}",
        )
    assert not (tmp_path / "trials").exists()


def test_the_page_has_the_table_of_the_records(load_script):
    lines = (DOCS / "results" / "command_trials.jsonl").read_text().splitlines()
    table = load_script("command_trials").trials_table([json.loads(line) for line in lines])
    assert table in (DOCS / "commands.md").read_text()
