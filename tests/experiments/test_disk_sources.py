import json

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
    for measured in (*results["views"].values(), *results["reads"].values()):
        assert measured["images per second"] > 0
    assert "| tfrecord |" in capsys.readouterr().out
