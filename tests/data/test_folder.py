import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation
from supcon_tf.data import image_batches, load_folder, multi_view_batches


def write_png(path, height, width, value):
    path.parent.mkdir(exist_ok=True)
    image = np.full([height, width, 3], value, np.uint8)
    path.write_bytes(tf.io.encode_png(image).numpy())


@pytest.fixture
def folder(tmp_path):
    write_png(tmp_path / "dog" / "b.png", 20, 30, 200)
    write_png(tmp_path / "cat" / "a.png", 16, 16, 50)
    write_png(tmp_path / "cat" / "c.PNG", 40, 12, 100)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".hidden.png").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_reads_images_of_any_size(folder):
    source = load_folder(folder)
    assert source.class_names == ("cat", "dog")
    np.testing.assert_array_equal(source.labels, [0, 0, 1])
    (images, labels), *rest = image_batches(source, size=8, batch_size=4)
    assert not rest
    assert images.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(images[:, 0, 0, 0], np.array([50, 100, 200]) / 255, atol=1e-5)
    np.testing.assert_array_equal(labels, [0, 0, 1])


def test_views_of_files(folder):
    source = load_folder(folder, channels=1).take(np.array([2, 0]))
    policy = augmentation.RandomResizedCrop(8)
    views, labels = next(iter(multi_view_batches(source, policy, batch_size=2, epochs=1)))
    assert views.shape == (2, 2, 8, 8, 1)
    expected = np.array([50, 200])[labels.numpy()] / 255
    np.testing.assert_allclose(views, np.tile(expected[:, None, None, None, None], views.shape[1:]))


def test_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="`directory` must exist.*nowhere"):
        load_folder(tmp_path / "nowhere")


def test_no_classes(tmp_path):
    with pytest.raises(ValueError, match="one subdirectory of images per class.*Received"):
        load_folder(tmp_path)


def test_empty_class(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty must hold at least one image"):
        load_folder(folder)


@pytest.mark.parametrize("contents", [b"", b"text", "truncated"])
def test_unreadable_image(folder, contents):
    path = folder / "dog" / "bad.png"
    if contents == "truncated":
        contents = (folder / "dog" / "b.png").read_bytes()[:-40]
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"dog/bad\.png cannot be read.*replace or remove"):
        load_folder(folder)
    assert len(load_folder(folder, verify=False)) == 4
