import collections
import gzip
import os
import pathlib
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf

from experiments.configs import common
from experiments.lib import datasets
from supcon_tf.data import ArrayImages, evaluation_batches

tfds = pytest.importorskip("tensorflow_datasets")
FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")


def test_hold_out_separates_training_and_test_images():
    train, test = datasets.load_train_and_test("digits", "", None, 300)
    assert (len(train), len(test)) == (1137, 300)
    whole, _ = datasets.load_train_and_test("digits", "")
    parts = sorted(image.tobytes() for part in (train, test) for image in part.images)
    assert parts == sorted(image.tobytes() for image in whole.images)


def write_images(directory, classes=3, images=4):
    for label in range(classes):
        (directory / f"class{label}").mkdir(parents=True)
        for k in range(images):
            pixels = np.full([6, 6, 3], 40 * label + k, np.uint8)
            path = directory / f"class{label}" / f"{k}.png"
            path.write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.mark.parametrize("test_name", ["test", "val", "validation"])
def test_a_directory_of_classes(tmp_path, test_name):
    write_images(tmp_path / "train")
    write_images(tmp_path / test_name, images=2)
    train, test = datasets.load_train_and_test("mine", str(tmp_path))
    assert (len(train), len(test)) == (12, 6)
    shutil.rmtree(tmp_path / test_name / "class1")  # Otherwise class2 is tested as class1.
    match = rf"{test_name} must contain one directory for each .*missing classes \['class1'\]"
    with pytest.raises(ValueError, match=match):
        datasets.load_train_and_test("mine", str(tmp_path))
    with pytest.raises(ValueError, match=match):
        datasets.load("mine", str(tmp_path), "test")
    (tmp_path / test_name / "class2").rename(tmp_path / test_name / "Class2")
    with pytest.raises(ValueError, match="'Class2' is similar to 'class2'"):
        datasets.load_train_and_test("mine", str(tmp_path))


def test_small_images_of_one_size_are_decoded_into_memory(tmp_path, monkeypatch):
    write_images(tmp_path / "train")
    images = datasets.load("mine", str(tmp_path), "train")
    decoded = datasets.decode_small_images(images)
    assert isinstance(decoded, ArrayImages)
    needed = decoded.images.nbytes
    monkeypatch.setattr(datasets, "_DECODED_BYTES", needed)
    assert isinstance(datasets.decode_small_images(images), ArrayImages)
    monkeypatch.setattr(datasets, "_DECODED_BYTES", needed - 1)
    assert datasets.decode_small_images(images) is images
    larger = tf.io.encode_png(tf.zeros([40, 40, 3], tf.uint8))
    tf.io.write_file(str(tmp_path / "train" / "class2" / "larger.png"), larger)
    monkeypatch.undo()
    images = datasets.load("mine", str(tmp_path), "train")
    assert datasets.decode_small_images(images) is images


def test_a_part_of_a_directory_has_all_classes(tmp_path):
    write_images(tmp_path / "train")
    write_images(tmp_path / "test")
    # The source is sorted by class, but a part has all classes.
    part, _ = datasets.load_train_and_test("mine", str(tmp_path), train_images=6)
    np.testing.assert_array_equal(np.bincount(part.labels), [2, 2, 2])


def test_idx_files_are_found_by_their_names(tmp_path):
    for prefix, number in (("train", 20), ("t10k", 10)):
        pixels = np.zeros([number, 28, 28], np.uint8)
        header = struct.pack(">HBB3I", 0, 8, 3, *pixels.shape)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + pixels.tobytes())
        )
        labels = (np.arange(number) % 10).astype(np.uint8)
        header = struct.pack(">HBBI", 0, 8, 1, number)
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    train, test = datasets.load_train_and_test("fashion_mnist", str(tmp_path), train_images=5)
    assert (len(train), len(test)) == (5, 10)
    assert test.class_names[9] == "Ankle boot"
    assert datasets.load("mnist", str(tmp_path), "test").class_names[9] == "9"
    labels = (np.arange(10) % 8).astype(np.uint8)  # This split lacks the last two classes.
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    train, test = datasets.load_train_and_test("mnist", str(tmp_path))
    assert len(test.class_names) == 10


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("cifar10", ""), ValueError, "`data_dir` must be the directory of 'cifar10'"),
        (
            ("cifar10", "/nowhere"),
            FileNotFoundError,
            "`data_dir` must be an existing directory.*/nowhere",
        ),
        (("digits", "/nowhere"), ValueError, "`data_dir` must be empty for the digits.*/nowhere"),
        (("digits", "", None, 5000), ValueError, "`hold_out`.*5000 of 1437"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        datasets.load_train_and_test(*arguments)


def test_a_directory_without_a_test_part_is_split(tmp_path, capsys):
    write_images(tmp_path / "train", images=10)
    for k in range(7):
        (tmp_path / "train" / "class0" / f"{k}.png").unlink()
    train, test = datasets.load_train_and_test("mine", str(tmp_path))
    assert capsys.readouterr().out == (
        f"{tmp_path} has no test/: a fifth of the images of each class in train/ is tested\n"
    )
    np.testing.assert_array_equal(np.bincount(train.labels), [2, 8, 8])
    np.testing.assert_array_equal(np.bincount(test.labels), [1, 2, 2])
    whole = {str(path) for path in (tmp_path / "train").glob("*/*")}
    parts = [path.decode() for source in (train, test) for path in source.records]
    assert set(parts) == whole and len(parts) == len(whole)
    again = datasets.load("mine", str(tmp_path), "test")
    assert again.records.tolist() == test.records.tolist()
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match="one subdirectory of images per class.*/test"):
        datasets.load_train_and_test("mine", str(tmp_path))


def test_a_class_with_one_image_cannot_be_split(tmp_path):
    write_images(tmp_path / "train", images=1)
    with pytest.raises(ValueError, match=r"at least 2 .* Received: 1 image of .*'class0'"):
        datasets.load_train_and_test("mine", str(tmp_path))


def test_a_directory_without_a_train_part(tmp_path):
    write_images(tmp_path / "cats")
    (tmp_path / "a.png").touch()
    match = "`data_dir` must contain a directory `train`.*with 1 images and the directories .cats"
    for name in ("mine", "cifar10"):
        with pytest.raises(FileNotFoundError, match=match) as error:
            datasets.load_train_and_test(name, str(tmp_path))
        assert len(str(error.value)) < 600


class FashionMnist(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes Fashion-MNIST from its files in the format of TensorFlow Datasets."""

    VERSION = tfds.core.Version("3.0.1")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(name) for name in ("train", "test")}

    def _generate_examples(self, split):
        source = datasets.load("fashion_mnist", str(FASHION_MNIST), split).take(np.arange(500))
        for k, (image, label) in enumerate(zip(source.images, source.labels, strict=True)):
            yield k, {"image": image, "label": label}


@pytest.mark.slow
@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_a_real_build_of_tfds_holds_the_same_images(tmp_path):
    FashionMnist(data_dir=tmp_path).download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    actual = datasets.load_train_and_test("fashion_mnist", str(tmp_path))
    expected = datasets.load_train_and_test("fashion_mnist", str(FASHION_MNIST))
    for prepared, original in zip(actual, expected, strict=True):
        original = original.take(np.arange(500))
        pairs = [
            collections.Counter(
                (label, image.tobytes())
                for label, image in zip(source.labels, source.images, strict=True)
            )
            for source in (prepared, original)
        ]
        assert pairs[0] == pairs[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes", "shape"), [("cifar10", 10, (32, 32, 3)), ("imagenet2012", 1000, None)]
)
def test_mocked_data_sets_of_tfds(tmp_path, monkeypatch, name, classes, shape):
    """The mocking of tfds generates random images with the real names, splits and shapes."""
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: True)
    (tmp_path / name).mkdir()
    with tfds.testing.mock_data(num_examples=6):
        train, test = datasets.load_train_and_test(name, str(tmp_path))
    for source in (train, test):
        assert len(source) == 6
        assert len(source.class_names) == classes
        images, labels = next(iter(evaluation_batches(source, size=32, batch_size=6)))
        assert images.shape == (6, 32, 32, 3)
        assert (labels.numpy() < classes).all()
    if shape is not None:
        assert train.images.shape[1:] == shape
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("fraction", "kept"),
    [(0.0, [0, 0, 0]), (0.1, [1, 2, 0]), (0.6, [7, 12, 2]), (1.0, [12, 20, 3])],
)
def test_some_labels_of_each_class_are_hidden(fraction, kept):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [12, 20, 3]))
    pixels = np.arange(35, dtype=np.uint8).reshape(35, 1, 1, 1)
    images = ArrayImages(pixels, labels, ["a", "b", "c"])
    hidden = datasets.hide_labels(images, fraction)
    np.testing.assert_array_equal(images.labels, labels)
    np.testing.assert_array_equal(hidden.images, pixels)
    shown = hidden.labels >= 0
    np.testing.assert_array_equal(hidden.labels[shown], labels[shown])
    assert (hidden.labels[~shown] == -1).all()
    assert np.bincount(hidden.labels[shown], minlength=3).tolist() == kept
    np.testing.assert_array_equal(hidden.labels, datasets.hide_labels(images, fraction).labels)


def test_images_without_a_label_are_left_out():
    pixels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    images = ArrayImages(pixels, [1, -1, 0, -1], list("abc"))
    labeled = datasets.take_labeled(images)
    np.testing.assert_array_equal(labeled.images, pixels[[0, 2]])
    assert labeled.labels.tolist() == [1, 0]
    assert list(labeled.class_names) == ["a", "b", "c"]
    assert datasets.take_labeled(labeled) is labeled


def test_no_image_with_a_label():
    images = ArrayImages(np.zeros([2, 1, 1, 1], np.uint8), [-1, -1], list("ab"))
    with pytest.raises(ValueError, match="`labeled_fraction` must leave the label.*Received: 2 im"):
        datasets.take_labeled(images)


@pytest.mark.parametrize("fraction", [-0.1, 1.01])
def test_bad_fraction_of_labels(fraction):
    images = ArrayImages(np.zeros([2, 1, 1, 1], np.uint8), [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="`labeled_fraction` must be from 0 to 1. Received"):
        datasets.hide_labels(images, fraction)


def labeled_images(counts):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    pixels = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return ArrayImages(pixels, labels, [str(i) for i in range(len(counts))])


@pytest.mark.parametrize(("fraction", "wrong"), [(0.0, [0, 0, 0]), (0.4, [5, 8, 1])])
def test_label_noise(fraction, wrong):
    images = labeled_images([12, 20, 3])
    before = images.labels.copy()
    noisy = datasets.add_label_noise(images, fraction)
    np.testing.assert_array_equal(images.labels, before)
    np.testing.assert_array_equal(noisy.images, images.images)
    changed = noisy.labels != before
    assert np.bincount(before[changed], minlength=3).tolist() == wrong
    assert set(noisy.labels.tolist()) <= {0, 1, 2}
    again = datasets.add_label_noise(images, fraction)
    np.testing.assert_array_equal(noisy.labels, again.labels)


def test_every_other_class_is_equally_likely_as_label_noise():
    noisy = datasets.add_label_noise(labeled_images([9000, 1, 1, 1]), 1.0)
    counts = np.bincount(noisy.labels, minlength=4)[1:]
    assert abs(counts - 3000).max() < 200


def test_a_long_tail():
    images = labeled_images([100, 100, 100])
    tail = datasets.make_long_tailed(images, 25)
    assert np.bincount(tail.labels).tolist() == [100, 20, 4]
    np.testing.assert_array_equal(tail.images, datasets.make_long_tailed(images, 25).images)
    assert datasets.make_long_tailed(images, 1) is images


def test_bad_noise_and_imbalance():
    images = labeled_images([4, 4])
    for value in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="`label_noise` must be from 0 to 1.*2 classes"):
            datasets.add_label_noise(images, value)
    with pytest.raises(ValueError, match="0 for a single class"):
        datasets.add_label_noise(labeled_images([4]), 0.5)
    for value in (0.5, np.nan):
        with pytest.raises(ValueError, match="`imbalance` must be at least 1"):
            datasets.make_long_tailed(images, value)
    with pytest.raises(ValueError, match="at least one image of each class.*none of '1'"):
        datasets.make_long_tailed(images, 5)


def test_a_recipe_changes_its_training_images_only():
    config = common.default_config()
    config.update({"dataset": "digits", "label_noise": 0.5, "imbalance": 10.0})
    train, test = datasets.load_of_recipe(config)
    plain_train, plain_test = datasets.load_train_and_test("digits", "")
    tail = datasets.make_long_tailed(plain_train, 10)
    np.testing.assert_array_equal(train.images, tail.images)
    assert np.mean(train.labels != tail.labels) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(test.labels, plain_test.labels)
