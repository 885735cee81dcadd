import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation
from supcon_tf.data import (
    ArrayImages,
    EncodedImages,
    IndexedImages,
    evaluation_batches,
    load_digits,
    multi_view_batches,
)


def test_digits():
    train, test = load_digits("train"), load_digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.shape == (1437, 8, 8, 1)
    assert train.images.max() == 255
    assert len({image.tobytes() for image in np.concatenate([train.images, test.images])}) > 1790
    # The split is stratified: every class has about a tenth of the images.
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
    batches = list(evaluation_batches(digits, size=8, batch_size=100))
    assert [len(labels) for _, labels in batches] == [100, 100, 100, 60]
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_allclose(images, digits.images / 255, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), digits.labels)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros([3, 4, 4], np.uint8), np.zeros(3), r"shape=\(3, 4, 4\)"),
        (np.zeros([3, 4, 4, 1], np.int32), np.zeros(3), "dtype=int32"),
        (np.zeros([3, 4, 4, 1], np.uint8), np.zeros(2), "3 images, 2 labels"),
    ],
)
def test_bad_arrays(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ArrayImages(images, labels, ["a"])


@pytest.mark.slow
@pytest.mark.parametrize("crops", [True, False])
def test_views_of_encoded_images_equal_those_of_decoded_images(crops):
    rng = np.random.default_rng(0)
    sizes = [(20, 30), (33, 17), (24, 24)]
    images = [rng.integers(0, 256, [*size, 3], dtype=np.uint8) for size in sizes]
    encode = [tf.io.encode_jpeg, tf.io.encode_png, tf.io.encode_jpeg]
    records = [function(image).numpy() for function, image in zip(encode, images, strict=True)]
    source = EncodedImages(records, np.arange(3), list("abc"))
    policy = augmentation.sim_augment(8, blur=True)

    def resized(images, draws):
        assert images.shape[0] == draws.shape[0] or None in (images.shape[0], draws.shape[0])
        return tf.image.resize(images, [8, 8]) * draws[:, :1, None, None]

    transform = policy if crops else resized
    indices = tf.constant([2, 0, 1])
    draws = tf.random.stateless_uniform([3, 2, policy.num_draws], [0, 1])
    views = tf.function(lambda: source.views(indices, draws, transform))()
    assert views.shape == (3, 2, 8, 8, 3)
    for index, of_image, drawn in zip(indices, views, draws, strict=True):
        decoded = tf.io.decode_image(records[index], channels=3)
        image = tf.cast(decoded, tf.float32)[None] / 255
        for actual, row in zip(of_image, drawn, strict=True):
            np.testing.assert_allclose(actual, transform(image, row[None])[0], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": [0.0, 1.0]}, r"`labels` must be integer.*shape=\(2,\), dtype=float64"),
        ({"labels": [[0], [1]]}, r"Class ids must have the shape.*shape=\(2, 1\)"),
        ({"class_names": "ab"}, "`class_names` must be a list of names. Received: 'ab'"),
        ({"labels": [0, 2]}, "indices into `class_names`.*from 0 to 2, 2 class names"),
        ({"labels": [-2, 1]}, "indices into `class_names`.*from -2 to 1"),
        ({"labels": [0]}, "`records` and `labels` must have the same length.*2 records, 1 labels"),
        ({"channels": 2}, "`channels` must be one of.*Received: 2"),
        ({"dtype": "float32"}, "`dtype` must be one of.*Received: 'float32'"),
    ],
)
def test_bad_encoded_images(arguments, message):
    good = {"records": [b"", b""], "labels": [0, 1], "class_names": ["cat", "dog"]}
    with pytest.raises(ValueError, match=message):
        EncodedImages(**{**good, **arguments})


def test_images_with_channels_first():
    with pytest.raises(ValueError, match=r"use `np.moveaxis\(images, 1, -1\)`.*\(2, 3, 8, 8\)"):
        ArrayImages(np.zeros([2, 3, 8, 8], np.uint8), [0, 1], ["cat", "dog"])


def evaluate(source, size):
    ((images, _),) = evaluation_batches(source, size=size, batch_size=len(source))
    return images.numpy()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_16_bits_keep_all_of_them(channels):
    pixels = np.random.default_rng(0).integers(0, 1 << 16, [2, 6, 6, channels], np.uint16)
    pixels[0, 0, 0, 0] = 65535
    encoded = [tf.io.encode_png(image).numpy() for image in pixels]
    arguments = {"labels": [0, 1], "class_names": ["a", "b"]}
    options = {"channels": channels, "dtype": "uint16"}
    expected = (pixels / 65535).astype(np.float32)
    for source in (
        ArrayImages(pixels, **arguments),
        ArrayImages(expected, **arguments),
        EncodedImages(encoded, **arguments, **options),
        EncodedImages(encoded[::-1], **arguments, **options).take([1, 0]),
        IndexedImages(lambda i: [encoded[k] for k in i], **arguments, **options).take([0, 1]),
    ):
        assert source.channels == channels
        np.testing.assert_allclose(evaluate(source, 6), expected, rtol=1e-6)


def test_images_with_four_channels_can_be_augmented():
    pixels = np.random.default_rng(0).integers(0, 256, [8, 9, 9, 4], np.uint8)
    encoded = [tf.io.encode_png(image).numpy() for image in pixels]
    policy = augmentation.Compose(
        [
            augmentation.RandomResizedCrop(8),
            augmentation.RandomHorizontalFlip(),
            augmentation.ColorJitter(probability=1),
            augmentation.RandomGaussianBlur(3, probability=1),
        ]
    )
    names = [str(i) for i in range(8)]
    views = [
        next(iter(multi_view_batches(source, policy, batch_size=8)))[0]
        for source in (
            ArrayImages(pixels, np.arange(8), names),
            EncodedImages(encoded, np.arange(8), names, channels=4),
        )
    ]
    assert views[0].shape == (8, 2, 8, 8, 4)
    np.testing.assert_allclose(views[0], views[1], atol=1e-5)
    gray = augmentation.Compose([augmentation.RandomResizedCrop(8), augmentation.RandomGrayscale()])
    with pytest.raises(ValueError, match=r"RandomGrayscale must have one of \(1, 3\) channels"):
        multi_view_batches(ArrayImages(pixels, np.arange(8), names), gray, batch_size=8)


@pytest.mark.parametrize("value", [-0.1, 255.0, np.nan])
def test_floating_point_images_must_be_in_range(value):
    images = np.full([1, 2, 2, 1], value, np.float32)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\].*Received: values from"):
        ArrayImages(images, [0], ["cat"])
    with pytest.raises(ValueError, match="uint8, uint16 or float32.*dtype=float64"):
        ArrayImages(images.astype("float64"), [0], ["cat"])
