import json
import pathlib

import pytest
import tensorflow as tf

from experiments.lib import photos
from supcon_tf import augmentation

pytest.importorskip("tensorflow_datasets")


@pytest.mark.slow
def test_all_sources_are_measured(run_script, monkeypatch, tmp_path, capsys):
    jpeg = tf.io.encode_jpeg(tf.zeros([20, 24, 3], tf.uint8)).numpy()
    monkeypatch.setattr(photos, "jpegs", lambda count, seed: [jpeg] * count)
    monkeypatch.setattr(
        augmentation, "auto_augment", lambda size, scale: augmentation.crop_flip(8, scale=scale)
    )
    monkeypatch.setattr("os.sched_setaffinity", lambda *args: None)
    run_script(
        "benchmarks.disk_sources",
        f"--directory={tmp_path / 'photos'}",
        f"--output_dir={tmp_path}",
        "--images=128",
        "--classes=3",
        "--batches=2",
        "--rounds=1",
    )
    results = json.loads((tmp_path / "disk_sources.json").read_text())
    stored = ["folder", "tfrecord", "array_record"]
    assert list(results["views"]) == ["memory", *stored, "tfds"]
    assert list(results["reads"])[:3] == stored
    assert set(results["uncached"]) == {name + x for name in stored for x in ("", " in blocks")}
    for measured in (*results["views"].values(), *results["reads"].values()):
        assert measured["images per second"] > 0
    assert "| tfrecord |" in capsys.readouterr().out


def test_the_page_shows_the_committed_results(load_script):
    docs = pathlib.Path(__file__).parents[2] / "docs"
    results = json.loads((docs / "benchmarks" / "disk_sources.json").read_text())
    table = load_script("benchmarks.disk_sources").table
    page = (docs / "large_data.md").read_text()
    for part in ("views", "reads", "uncached", "memory"):
        assert table(results[part]) in page
    views = {name: row["images per second"] for name, row in results["views"].items()}
    for name in ("folder", "tfrecord", "array_record"):
        assert views[name] >= 0.9 * views["memory"]
        assert views[name] >= views["tfds"]
    repeated = results["memory"].pop("repeated")["MB at the end"]
    # Two buffers of 1,024 images of 74 kB, and as much again while strings are converted.
    buffers = results["memory"].pop("tfrecord in blocks")["MB at the end"] - repeated
    assert buffers < 4 * 1024 * 0.074
    for row in results["memory"].values():
        assert row["MB at the end"] - repeated < 100
    rates = {name: row["images per second"] for name, row in results["uncached"].items()}
    assert rates["tfrecord in blocks"] > 2 * rates["tfrecord"]
