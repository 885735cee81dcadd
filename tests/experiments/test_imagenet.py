"""The recipe of ImageNet trains from files with the features of ImageNet, which stay on disk."""

import importlib
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

tfds = pytest.importorskip("tensorflow_datasets")

RECIPE = pathlib.Path(__file__).parents[2] / "experiments" / "configs" / "imagenet_resnet50.py"
CLASSES = 1000


class SmallImageNet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Twice forty images with the name, the version and the features of ImageNet."""

    name = "imagenet2012"
    VERSION = tfds.core.Version("5.1.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=[f"n{k:08d}" for k in range(CLASSES)]),
            "file_name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in ("train", "validation")}

    def _generate_examples(self):
        rng = np.random.default_rng(0)
        for i in range(40):
            image = rng.integers(0, 256, [40 + i, 50, 3], np.uint8)
            jpeg = tf.io.encode_jpeg(image).numpy()
            name = f"n{i}.JPEG"
            yield name, {"image": jpeg, "label": 37 * (i % 20), "file_name": name}


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
def test_twenty_steps_from_both_formats_are_the_same(run_script, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("supcon_tf.data.tfds"), "_LARGEST_IN_MEMORY", 0)
    weights = []
    for file_format in ("tfrecord", "array_record"):
        data_dir, output_dir = tmp_path / file_format, tmp_path / f"{file_format}_run"
        data_dir.mkdir()
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        builder = SmallImageNet(data_dir=data_dir, file_format=file_format)
        builder.download_and_prepare(download_config=config)
        run_script(
            "pretrain",
            f"--config={RECIPE}",
            f"--config.data_dir={data_dir}",
            "--config.image_size=32",
            "--config.test_short_side=32",
            "--config.encoder.depth=10",
            "--config.encoder.width=0.0625",
            "--config.batch_size=4",
            "--config.epochs=2",
            f"--output_dir={output_dir}",
        )
        assert list(data_dir.glob("imagenet2012/5.1.0/supcon_tf.*.npz"))
        results = json.loads((output_dir / "results.json").read_text())
        assert len(results["history"]["loss"]) == 2
        assert len(results["class_names"]) == CLASSES
        encoder = keras.saving.load_model(output_dir / "encoder.keras")
        weights.append(encoder.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
