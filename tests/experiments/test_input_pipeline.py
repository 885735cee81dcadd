import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_every_pipeline_and_policy_is_measured(tmp_path):
    arguments = ["--size=16", "--batch_size=2", "--seconds=0", "--rounds=1"]
    arguments += ["--policy=sim_augment", "--policy=auto_augment", f"--output_dir={tmp_path}"]
    process = subprocess.run(
        [sys.executable, "-m", "experiments.benchmarks.input_pipeline", *arguments],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    rows = [line for line in process.stdout.splitlines() if line.startswith("| ")]
    assert rows[0].startswith("| views per second | supcon_tf | Keras layers |")
    names = [row.split(" | ")[0] for row in rows[1:]]
    assert names == [
        "| sim_augment, 16 pixels",
        "| auto_augment, 16 pixels",
        "| sim_augment, 224 pixels, JPEG",
        "| auto_augment, 224 pixels, JPEG",
    ]
    assert [row.split(" | ")[2] == "-" for row in rows[1:]] == [False, True, False, True]
    report = json.loads((tmp_path / "input_pipeline.json").read_text())
    ours = [x for x in report["measurements"] if x["pipeline"] == "supcon_tf"]
    assert [(x["policy"], x["size"], x["jpeg"]) for x in ours] == [
        ("sim_augment", 16, False),
        ("auto_augment", 16, False),
        ("sim_augment", 224, True),
        ("auto_augment", 224, True),
    ]
    assert all(x["views_per_second"] > 0 for x in report["measurements"])
