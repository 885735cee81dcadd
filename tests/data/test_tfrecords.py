"""Images of TFRecord files equal those in memory, and files that cannot be right are errors."""

import os

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.augmentation import sim_augment
from supcon_tf.data import (
    EncodedImages,
    evaluation_batches,
    load_tfrecords,
    multi_view_batches,
    tfrecords,
)

NAMES = ["cat", "dog", "owl"]


def feature(value):
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def example(image, label):
    features = {
        "image": feature(image),
        "label": feature(label),
        "file_name": feature(b"label"),
        "weight": tf.train.Feature(float_list=tf.train.FloatList(value=[1.5])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(path, examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for each in examples:
            writer.write(each)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [
        tf.io.encode_jpeg(rng.integers(0, 256, [12 + i % 5, 16, 3], np.uint8)).numpy()
        for i in range(40)
    ]


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(-1, 3, 40)


@pytest.fixture
def shards(tmp_path, images, labels):
    """Three files of 15, 0 and 25 images."""
    examples = [example(*each) for each in zip(images, labels.tolist(), strict=True)]
    paths = [tmp_path / f"pets-{k}.tfrecord" for k in range(3)]
    for path, part in zip(paths, (examples[:15], [], examples[15:]), strict=True):
        write(path, part)
    return paths


def assert_equal_batches(source, expected):
    policy = sim_augment(8)
    for actual, batch in zip(
        multi_view_batches(source, policy, batch_size=16),
        multi_view_batches(expected, policy, batch_size=16),
        strict=True,
    ):
        for ours, theirs in zip(actual, batch, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_batches_equal_those_from_memory(shards, images, labels):
    source = load_tfrecords(shards, NAMES)
    np.testing.assert_array_equal(source.labels, labels)
    assert_equal_batches(source, EncodedImages(images, labels, NAMES))
    chosen = np.random.default_rng(2).permutation(40)[:20]
    part = source.take(chosen).take(np.arange(18))
    assert_equal_batches(part, EncodedImages(images, labels, NAMES).take(chosen[:18]))


@pytest.fixture
def indexed(monkeypatch):
    """The names of the files that are indexed."""
    names = []
    index_file = tfrecords._index_file

    def record(path, *features):
        names.append(os.path.basename(path))
        return index_file(path, *features)

    monkeypatch.setattr(tfrecords, "_index_file", record)
    return names


def test_only_changed_files_are_indexed_again(shards, images, tmp_path, indexed):
    index = tmp_path / "deep" / "index.npz"
    load_tfrecords(shards, NAMES, index=index)
    assert sorted(indexed) == [path.name for path in shards]
    indexed.clear()
    assert len(load_tfrecords(shards, NAMES, index=index)) == 40
    assert not indexed
    write(shards[1], [example(images[0], 2)])
    source = load_tfrecords(shards, NAMES, index=index)
    assert indexed == [shards[1].name]
    assert (len(source), source.labels[15]) == (41, 2)
    indexed.clear()
    with pytest.raises(ValueError, match="the features 'photo' and 'label'"):
        load_tfrecords(shards, NAMES, image="photo", index=index)
    assert indexed


def test_an_index_moves_with_its_files(shards, images, tmp_path, indexed):
    load_tfrecords(shards, NAMES, index=tmp_path / "index.npz")
    indexed.clear()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    source = load_tfrecords(
        [moved / path.name for path in shards], NAMES, index=moved / "index.npz"
    )
    assert not indexed
    assert list(source._read(np.array([39, 0]))) == [images[39], images[0]]
    moved.rename(tmp_path)


def message(number, content):
    """A field of a message in the format of protocol buffers, of less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def test_a_label_can_be_a_list_that_is_not_packed(tmp_path):
    def entry(key, kind, value):
        return message(1, message(1, key) + message(2, message(kind, value)))

    image = entry(b"image", 1, message(1, b"jpeg"))
    label = entry(b"label", 3, b"\x08\x02\x08\x01")  # 2 and 1, each with its own tag
    record = message(1, label + image)
    assert tf.train.Example.FromString(record).features.feature["label"].int64_list.value == [2, 1]
    write(tmp_path / "pets", [record])
    source = load_tfrecords([tmp_path / "pets"], NAMES)
    assert (source.labels.tolist(), source._read(np.array([0]))) == ([2], [b"jpeg"])


def test_wrong_files_are_named(shards, images, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_tfrecords([tmp_path / "nowhere"], NAMES)
    for files in ([], str(shards[0])):
        with pytest.raises(ValueError, match="`files` must be a list.*Received"):
            load_tfrecords(files, NAMES)
    whole = shards[0].read_bytes()
    compressed = tmp_path / "compressed"
    with tf.io.TFRecordWriter(str(compressed), "GZIP") as writer:
        writer.write(example(images[0], 1))
    for name, content, reason in (
        ("truncated", whole[:-1], "is truncated or compressed"),
        ("compressed", compressed.read_bytes(), "is truncated or compressed"),
        ("short", whole[:7], "is truncated"),
        ("photo", images[0], "is truncated or compressed"),
        ("text", b"path,label\n" * 9, "is truncated or compressed"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} must be an uncompressed.*{reason}"):
            load_tfrecords([shards[2], tmp_path / name], NAMES)
    for record, reason in (
        (b"not an Example", "Received"),
        (tf.train.Example().SerializeToString(), r"with the features \[\]"),
        (example(images[0], b"cat"), "of another type"),
    ):
        write(tmp_path / "wrong", [record])
        with pytest.raises(ValueError, match=f"wrong must be.*{reason}"):
            load_tfrecords([tmp_path / "wrong"], NAMES)
    with pytest.raises(ValueError, match="`labels` must be indices into `class_names`"):
        load_tfrecords(shards, NAMES[:2])
    (tmp_path / "index.npz").write_bytes(b"PK damaged")
    with pytest.raises(ValueError, match="index.npz must be an index.*Delete it"):
        load_tfrecords(shards, NAMES, index=tmp_path / "index.npz")


def test_a_damaged_file_can_be_used_up_to_the_damage(shards, images, tmp_path, indexed):
    shards[0].write_bytes(shards[0].read_bytes()[:-100])
    index = tmp_path / "index.npz"
    with pytest.raises(ValueError, match="pets-0.tfrecord must be.*after 14 images"):
        load_tfrecords(shards, NAMES, index=index)
    for _ in range(2):  # What is damaged is not remembered.
        indexed.clear()
        with pytest.warns(UserWarning, match="pets-0.tfrecord must be.*after 14 images") as warned:
            source = load_tfrecords(shards, NAMES, index=index, on_error="skip")
        assert warned[0].filename == __file__
        assert len(source) == 39
        assert source._read(np.array([13, 14])) == [images[13], images[15]]
    assert indexed == ["pets-0.tfrecord"]
    with pytest.raises(ValueError, match="`on_error` must be one of"):
        load_tfrecords(shards, NAMES, on_error="ignore")


def test_an_unwritable_directory_is_an_error_before_the_search(shards, monkeypatch, indexed):
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(PermissionError, match=f"Pass a file in another.*{shards[0].parent}"):
        load_tfrecords(shards, NAMES, index=shards[0].parent / "index.npz")
    assert not indexed


def test_adjacent_images_are_read_at_once(shards, images, monkeypatch):
    source = load_tfrecords(shards, NAMES)
    ranges = []
    read_range = tfrecords._read_range
    monkeypatch.setattr(
        tfrecords, "_read_range", lambda *args: ranges.append(args[1:]) or read_range(*args)
    )
    indices = [39, 3, 4, 5, 13, 14, 15, 16, 5]  # the second file of images begins with 15
    assert source._read(np.array(indices)) == [images[i] for i in indices]
    assert len(ranges) == 5
    assert source._read(np.array([], np.int64)) == []


def test_files_in_an_object_store(shards, images, labels, tmp_path, indexed):
    urls = [f"ram://pets/{path.name}" for path in shards]
    for path, url in zip(shards, urls, strict=True):
        tf.io.gfile.copy(str(path), url, overwrite=True)
    index = tmp_path / "index.npz"
    files = [urls[0], shards[1], urls[2]]
    load_tfrecords(files, NAMES, index=index)
    indexed.clear()
    source = load_tfrecords(files, NAMES, index=index)
    assert not indexed
    assert_equal_batches(source, EncodedImages(images, labels, NAMES))
    with tf.io.gfile.GFile(urls[0], "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match="ram://pets/pets-0.tfrecord must not change"):
        source._read(np.array([3]))
    with pytest.raises(ValueError, match="ram://pets/pets-0.tfrecord must be.*truncated"):
        load_tfrecords(files, NAMES, index=index)
    with pytest.raises(FileNotFoundError, match="ram://pets/none must be a file"):
        load_tfrecords(["ram://pets/none"], NAMES)


def test_a_file_that_changes_or_vanishes_in_training_is_named(shards, images):
    source = load_tfrecords(shards, NAMES)
    write(shards[0], [example(images[0], 1)] * 15)
    with pytest.raises(ValueError, match="pets-0.tfrecord must not change while it is in use"):
        source._read(np.array([3]))
    shards[2].unlink()
    batches = evaluation_batches(source.take([20, 21]), size=8, batch_size=2)
    with pytest.raises(tf.errors.OpError, match=r"(?s)FileNotFoundError.*pets-2.tfrecord"):
        list(batches)
