"""Images that are decoded into memory."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation, data

RNG = np.random.default_rng(0)


def encoded(images, **arguments):
    dtype = images[0].dtype
    records = [tf.io.encode_png(tf.constant(image)).numpy() for image in images]
    labels = np.arange(len(images)) % 2
    channels = images[0].shape[-1]
    return data.EncodedImages(
        records, labels, ["cat", "dog"], channels=channels, dtype=dtype.name, **arguments
    )


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint8", 1), ("uint16", 4)])
def test_decodes_the_pixels(dtype, channels):
    largest = np.iinfo(dtype).max
    images = RNG.integers(0, largest, [5, 8, 6, channels], endpoint=True).astype(dtype)
    if channels == 1:  # TensorFlow decodes gray images through RGB.
        images[:] = images[:, :1, :1]
    source = encoded(images)
    decoded = data.decode_images(source)
    assert decoded.images.dtype == dtype
    np.testing.assert_array_equal(decoded.images, images)
    np.testing.assert_array_equal(decoded.labels, source.labels)
    assert decoded.class_names == ("cat", "dog")
    assert decoded.channels == channels


def test_indexed_images():
    images = RNG.integers(0, 255, [4, 8, 8, 3]).astype("uint8")
    records = [tf.io.encode_png(image).numpy() for image in images]
    source = data.IndexedImages(
        lambda indices: [records[i] for i in indices], [0, 1, 0, -1], ["cat", "dog"]
    )
    decoded = data.decode_images(source)
    np.testing.assert_array_equal(decoded.images, images)
    assert decoded.labels.tolist() == [0, 1, 0, -1]


def test_the_views_are_those_of_the_source():
    source = encoded(RNG.integers(0, 255, [8, 12, 10, 3]).astype("uint8"))
    batches = [
        next(iter(data.multi_view_batches(each, augmentation.sim_augment(8), batch_size=8)))
        for each in (source, data.decode_images(source))
    ]
    np.testing.assert_allclose(batches[0][0], batches[1][0], atol=2e-6)
    np.testing.assert_array_equal(batches[0][1], batches[1][1])


def test_images_in_memory_are_returned_as_they_are():
    source = data.load_digits("test")
    assert data.decode_images(source) is source


def test_images_of_your_own_class():
    class Own(data.ImageSource):
        def __init__(self):
            super().__init__([0, 1], ["cat", "dog"], 3)

        def take(self, indices):
            raise NotImplementedError

        def views(self, indices, draws, transform):
            return transform(tf.fill([1, 4, 5, 3], 0.3), draws)[:, None]

    decoded = data.decode_images(Own())
    np.testing.assert_array_equal(decoded.images, np.full([2, 4, 5, 3], 0.3, "float32"))


def test_images_of_different_sizes():
    small, large = (np.zeros([side, side, 3], "uint8") for side in (4, 5))
    source = encoded([small, small, large])
    with pytest.raises(ValueError, match=r"same size. Received: \(4, 4, 3\) and, for image 2, "):
        data.decode_images(source)


def test_a_damaged_image():
    source = data.EncodedImages([b"nothing"], [0], ["cat", "dog"])
    with pytest.raises(tf.errors.InvalidArgumentError):
        data.decode_images(source)
