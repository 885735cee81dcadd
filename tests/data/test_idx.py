import gzip
import pathlib
import struct

import numpy as np
import pytest

from supcon_tf.data import load_idx

FASHION_MNIST = pathlib.Path("/usr/share/datasets/fashion-mnist")


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


IMAGES = np.arange(5 * 3 * 4).reshape(5, 3, 4)
LABELS = np.array([0, 1, 2, 1, 0])
NAMES = {"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}


@pytest.fixture
def write(tmp_path):
    """Writes valid files with changes, and returns their directory."""

    def write(compress=False, **changed):
        contents = {"images": idx_bytes(IMAGES), "labels": idx_bytes(LABELS), **changed}
        for kind, data in contents.items():
            name = NAMES[kind] + (".gz" if compress else "")
            if data is not None:
                (tmp_path / name).write_bytes(gzip.compress(data) if compress else data)
        return tmp_path

    return write


@pytest.mark.parametrize("compress", [False, True])
def test_load_idx_reads_the_written_arrays(write, compress):
    source = load_idx(write(compress), "train")
    np.testing.assert_array_equal(source.images[..., 0], IMAGES)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": idx_bytes(IMAGES)[:-1]}, "train-images-idx3-ubyte must have.*Received: 75"),
        ({"images": idx_bytes(IMAGES) + b"\0"}, "train-images.*Received: 77 bytes"),
        ({"images": idx_bytes(IMAGES)[:9]}, "train-images.*Received: 9 bytes"),
        ({"images": b""}, "train-images.*Received: magic number nothing"),
        ({"images": b"\x89PNG" + idx_bytes(IMAGES)[4:]}, "train-images.*00000803.*89504e47"),
        ({"images": idx_bytes(LABELS)}, "train-images.*00000803.*00000801"),
        ({"labels": b"\0\0\x0d\x01" + idx_bytes(LABELS)[4:]}, "train-labels.*00000d01"),
        ({"labels": idx_bytes(LABELS[:4])}, "train-labels.*5 images, 4 labels"),
        ({"labels": gzip.compress(idx_bytes(LABELS))[:-3]}, "train-labels.*truncated or damaged"),
        (
            {"images": idx_bytes(IMAGES[:0]), "labels": idx_bytes(LABELS[:0])},
            "must contain at least one label",
        ),
    ],
)
def test_damaged_files(write, changed, message):
    with pytest.raises(ValueError, match=message):
        load_idx(write(**changed), "train")


def test_missing_files(write, tmp_path):
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte or .*gz.*Received"):
        load_idx(write(labels=None), "train")
    with pytest.raises(FileNotFoundError, match="t10k-images"):
        load_idx(tmp_path, "test")


def test_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="`split`.*Received: 'validation'"):
        load_idx(tmp_path, "validation")


@pytest.mark.slow
@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist():
    train, test = load_idx(FASHION_MNIST, "train"), load_idx(FASHION_MNIST, "test")
    assert train.images.shape == (60_000, 28, 28, 1)
    assert test.images.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(train.labels), np.full(10, 6000))
    np.testing.assert_array_equal(np.bincount(test.labels), np.full(10, 1000))
