"""The commands of the tutorial, in the order of the page, with small images and few epochs."""

import csv
import pathlib
import re
import shlex

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.commands import command_line

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "folder.md").read_text()
COMMANDS = re.findall(r"^python -m supcon_tf (.*)$", PAGE, re.MULTILINE)
FEW = {"train": ["--epochs=3", "--encoder=resnet10x0.125"]}
BRIGHTNESS = {"cat": 60, "dog": 190}


@pytest.mark.docs
@pytest.mark.slow
def test_the_commands_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, images in (("train", 20), ("test", 4)):
        for name, brightness in BRIGHTNESS.items():
            directory = pathlib.Path("photos", part, name)
            directory.mkdir(parents=True)
            for k in range(images):
                pixels = np.clip(rng.normal(brightness, 30, [8, 8, 3]), 0, 255).astype(np.uint8)
                (directory / f"{k}.png").write_bytes(tf.io.encode_png(pixels).numpy())

    for command in COMMANDS:
        name, *arguments = shlex.split(command)
        with pytest.raises(SystemExit) as end:
            command_line.main([name, *arguments, *FEW.get(name, [])])
        assert end.value.code in (0, None), command
    assert {command.split()[0] for command in COMMANDS} == {"train", "report", "predict", "search"}

    for table in ("predictions.csv", "new_classes.csv"):
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 8
        right = [row["prediction"] in (row["path"].split("/")[-2], "unknown") for row in rows]
        assert all(right)
    for written in re.findall(r"`(runs/photos/[\w.]+)`", PAGE):
        assert pathlib.Path(written).exists()
