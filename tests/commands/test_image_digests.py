import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.commands.image_digests import images_digest
from supcon_tf.data import ArrayImages, load_folder

NAMES = ["a", "b"]


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, [6, 5, 4, 3], dtype=np.uint8)


def write(root, pixels, labels):
    for k, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = root / NAMES[label] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(image).numpy())
    return root


def test_files_and_arrays_with_the_same_images_have_the_same_digest(tmp_path, pixels):
    labels = [0, 0, 0, 1, 1, 1]
    digests = [images_digest(ArrayImages(pixels, labels, NAMES))]
    for place in ("one", "another place"):
        digests.append(images_digest(load_folder(write(tmp_path / place, pixels, labels))))
    assert len(set(digests)) == 1


def test_every_difference_changes_the_digest(pixels):
    labels = np.arange(6) % 2
    other_pixel = pixels.copy()
    other_pixel[3, 2, 1, 0] ^= 1
    sources = [
        ArrayImages(pixels, labels, NAMES),
        ArrayImages(pixels, labels[::-1], NAMES),
        ArrayImages(pixels, labels, ["a", "c"]),
        ArrayImages(pixels[:4], labels[:4], NAMES),
        ArrayImages(other_pixel, labels, NAMES),
        ArrayImages(pixels.reshape(6, 4, 5, 3), labels, NAMES),
    ]
    assert len({images_digest(source) for source in sources}) == len(sources)
