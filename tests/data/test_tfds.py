import numpy as np
import pytest

from supcon_tf.data import evaluation_batches, load_tfds

tfds = pytest.importorskip("tensorflow_datasets")


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


def prepare(builder, data_dir):
    builder(data_dir=data_dir).download_and_prepare(
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
