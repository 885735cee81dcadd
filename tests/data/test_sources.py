import numpy as np
import pytest

from supcon_tf.data import ArrayImages, image_batches, load_digits


def test_digits():
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.shape == (1437, 8, 8, 1)
    assert train.images.max() == 255
    assert len({image.tobytes() for image in np.concatenate([train.images, test.images])}) > 1790
    # Stratified: every class has about a tenth of both.
    assert np.bincount(test.labels).min() >= 34
    with pytest.raises(ValueError, match="`split`.*Received: 'validation'"):
        load_digits("validation")


def test_take():
    digits = load_digits("test")
    part = digits.take(np.array([5, 2]))
    assert part.class_names == digits.class_names
    np.testing.assert_array_equal(part.images, digits.images[[5, 2]])
    np.testing.assert_array_equal(part.labels, digits.labels[[5, 2]])


def test_image_batches_are_the_images_in_order():
    digits = load_digits("test")
    batches = list(image_batches(digits, size=8, batch_size=100))
    assert [len(labels) for _, labels in batches] == [100, 100, 100, 60]
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_allclose(images, digits.images / 255, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), digits.labels)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros([3, 4, 4], np.uint8), np.zeros(3), r"shape=\(3, 4, 4\)"),
        (np.zeros([3, 4, 4, 1], np.float32), np.zeros(3), "dtype=float32"),
        (np.zeros([3, 4, 4, 1], np.uint8), np.zeros(2), "3 images, 2 labels"),
    ],
)
def test_bad_arrays(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ArrayImages(images, labels, ["a"])
