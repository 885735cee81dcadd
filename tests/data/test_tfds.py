import functools
import importlib
import os

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.data import (
    ArrayImages,
    EncodedImages,
    IndexedImages,
    evaluation_batches,
    load_tfds,
    tfrecords,
)

tfds = pytest.importorskip("tensorflow_datasets")
tfds_module = importlib.import_module("supcon_tf.data.tfds")


class _Images(tfds.core.GeneratorBasedBuilder):
    """Ten images of two classes. The brightness of an image is ten times its index."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE: tuple
    LABEL = tfds.features.ClassLabel(names=["cat", "dog"])

    def _info(self):
        features = {"image": tfds.features.Image(shape=self.SHAPE), "label": self.LABEL}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        height, width, channels = self.SHAPE
        for i in range(10):
            shape = (height or 8 + i, width or 8, channels)
            yield i, {"image": np.full(shape, 10 * i, np.uint8), "label": i % 2}


class FixedSizeImages(_Images):
    SHAPE = (4, 4, 3)


class AnySizeImages(_Images):
    SHAPE = (None, None, 3)


class NumberedImages(_Images):
    SHAPE = (4, 4, 3)
    LABEL = tfds.features.Scalar(np.int64)


def prepare(builder, data_dir, file_format=None):
    builder(data_dir=data_dir, file_format=file_format).download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )


@pytest.mark.slow
@pytest.mark.parametrize("builder", [FixedSizeImages, AnySizeImages])
def test_reads_a_prepared_data_set(tmp_path, builder):
    prepare(builder, tmp_path)
    source = load_tfds(builder.name, tmp_path)
    assert source.class_names == ("cat", "dog")
    (images, labels), *rest = evaluation_batches(source, size=4, batch_size=10)
    assert not rest
    brightness = np.round(images[:, 0, 0, 0].numpy() * 25.5).astype(int)
    assert sorted(brightness) == list(range(10))
    np.testing.assert_array_equal(labels, brightness % 2)
    assert len(load_tfds(builder.name, tmp_path, "train[:30%]")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_images_on_disk_equal_those_in_memory(tmp_path, monkeypatch, file_format):
    prepare(AnySizeImages, tmp_path, file_format)
    for split in ("train", "train[2:5]+train[7:]"):
        for _ in range(2):  # The second time, the index is read.
            stored = load_tfds("any_size_images", tmp_path, split, in_memory=False)
            held = load_tfds("any_size_images", tmp_path, split)
            assert isinstance(stored, IndexedImages) and isinstance(held, EncodedImages)
            assert (stored.class_names, stored.channels) == (held.class_names, 3)
            np.testing.assert_array_equal(stored.labels, held.labels)
            assert stored._read(np.arange(len(held))) == held.records.tolist()
            monkeypatch.setattr(tfds_module, "require_writable", fail)
            monkeypatch.setattr(tfrecords, "require_writable", fail)
        monkeypatch.undo()


def fail(directory):
    raise AssertionError(directory)


@pytest.mark.slow
def test_where_the_index_is_and_when_it_is_made_again(tmp_path):
    for file_format in ("tfrecord", "array_record"):
        prepare(AnySizeImages, tmp_path / file_format, file_format)
        index_dir = tmp_path / f"{file_format}_index"
        load = functools.partial(
            load_tfds,
            "any_size_images",
            tmp_path / file_format,
            in_memory=False,
            index_dir=index_dir,
        )
        expected = load().labels
        (index,) = index_dir.iterdir()
        written = index.stat().st_mtime_ns
        (file,) = tmp_path.glob(f"{file_format}/*/*/*.{file_format}-*")
        os.utime(file)
        np.testing.assert_array_equal(load().labels, expected)
        assert index.stat().st_mtime_ns > written


def test_large_data_sets_stay_on_disk(tmp_path, monkeypatch):
    prepare(FixedSizeImages, tmp_path)
    monkeypatch.setattr(tfds_module, "_LARGEST_IN_MEMORY", 10 * 4 * 4 * 3)
    assert isinstance(load_tfds("fixed_size_images", tmp_path), ArrayImages)
    monkeypatch.setattr(tfds_module, "_LARGEST_IN_MEMORY", 10 * 4 * 4 * 3 - 1)
    assert isinstance(load_tfds("fixed_size_images", tmp_path), IndexedImages)
    assert isinstance(load_tfds("fixed_size_images", tmp_path, in_memory=True), ArrayImages)


def test_a_missing_record_is_named(tmp_path):
    prepare(FixedSizeImages, tmp_path)
    (file,) = tmp_path.glob("*/*/*.tfrecord-*")
    records = [x.numpy() for x in tf.data.TFRecordDataset(str(file))]
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records[1:]:
            writer.write(record)
    with pytest.raises(ValueError, match=f"{file.name} must contain 10 images.*Received: 9"):
        load_tfds("fixed_size_images", tmp_path, in_memory=False)


def test_bad_input(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="`data_dir` must be an existing directory.*nowhere"
    ):
        load_tfds("fixed_size_images", tmp_path / "nowhere")
    for name in ("no_such_data_set", "cifar-10"):
        with pytest.raises(ValueError, match=f"`name` must be.*TensorFlow Datasets.*'{name}'"):
            load_tfds(name, tmp_path)
    with pytest.raises(FileNotFoundError, match="tfds build fixed_size_images"):
        load_tfds("fixed_size_images", tmp_path)
    prepare(NumberedImages, tmp_path)
    with pytest.raises(ValueError, match="class feature `label`.*Received"):
        load_tfds("numbered_images", tmp_path)
