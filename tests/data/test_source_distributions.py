"""Sources of label distributions, such as multi-hot labels."""

import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from experiments.lib.datasets import add_label_noise, hide_labels, take_labeled
from supcon_tf.augmentation import Mixing
from supcon_tf.data import (
    ArrayImages,
    IndexedImages,
    TensorSource,
    batches_from_step,
    evaluation_batches,
    flatten_views,
    map_batches,
    mix_batches,
    multi_view_batches,
    training_batches,
)

NAMES = ["a", "b", "c"]
ROWS = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0], [0.25, 0, 0], [1, 1, 1], [0, 2, 0]])
PIXELS = np.random.default_rng(0).integers(0, 256, [6, 4, 4, 1], dtype=np.uint8)


def whole(images, draws):
    return images


whole.num_draws = 0


def several(labels=ROWS):
    return ArrayImages(PIXELS, labels, NAMES)


def read_batches(dataset):
    return [(x.numpy(), y.numpy()) for x, y in batches_from_step(dataset, 0).take(4)]


def assert_equal_batches(actual, expected):
    assert actual.element_spec == expected.element_spec
    for batch, other in zip(read_batches(actual), read_batches(expected), strict=True):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])


def test_labels_become_float32_and_follow_their_samples():
    for labels in (ROWS, ROWS.tolist(), ROWS > 0, (ROWS > 0).astype(int)):
        source = several(labels).take([4, 0])
        assert source.labels.dtype == np.float32
        np.testing.assert_array_equal(source.labels, np.asarray(labels, float)[[4, 0]])


def test_batches_equal_those_of_class_ids_with_a_map():
    ids = ArrayImages(PIXELS, np.arange(6), list("abcdef"))
    table = tf.constant(ROWS, tf.float32)

    def look_up(views, ids):
        return views, tf.gather(table, ids)

    views = multi_view_batches(several(), whole, batch_size=3)
    expected = map_batches(multi_view_batches(ids, whole, batch_size=3), look_up)
    assert_equal_batches(views, expected)
    single = training_batches(several(), whole, batch_size=3)
    assert single.element_spec[1] == tf.TensorSpec([3, 3], tf.float32)
    mixed = mix_batches(views, Mixing("mixup"), num_classes=3)
    assert mixed.element_spec[1] == tf.TensorSpec([3, 2, 3], tf.float32)
    (labels,) = [labels for _, labels in evaluation_batches(several(), size=4, batch_size=6)]
    np.testing.assert_array_equal(labels, ROWS.astype(np.float32))


def test_flattened_views_repeat_the_rows():
    views = multi_view_batches(several(), whole, batch_size=3, num_views=2)
    flat = flatten_views(views)
    assert flat.element_spec[1] == tf.TensorSpec([6, 3], tf.float32)
    for (_, rows), (_, flat_rows) in zip(read_batches(views), read_batches(flat), strict=True):
        np.testing.assert_array_equal(flat_rows, np.repeat(rows, 2, axis=0))


def test_a_shuffle_buffer_keeps_distributions():
    contents = [tf.io.encode_png(image).numpy() for image in PIXELS]
    source = IndexedImages(lambda i: [contents[k] for k in i], ROWS, NAMES, channels=1)
    batches = multi_view_batches(source, whole, batch_size=2, num_views=1, shuffle_buffer=4)
    seen = 0
    for views, rows in batches:
        shown = [np.abs(PIXELS / 255 - view).sum(axis=(1, 2, 3)).argmin() for view in views[:, 0]]
        np.testing.assert_array_equal(rows, ROWS[shown].astype(np.float32))
        seen += len(rows)
    assert seen == 6


def test_what_needs_class_ids_says_so():
    source = several()
    with pytest.raises(ValueError, match=r"`images_per_class` requires one class id.*\(6, 3\)"):
        multi_view_batches(source, whole, batch_size=4, images_per_class=2)
    for function in (take_labeled, lambda x: hide_labels(x, 0.5), lambda x: add_label_noise(x, 0)):
        with pytest.raises(ValueError, match=r"must be class ids.*Received: .*\(6, 3\)"):
            function(source)
    with pytest.raises(ValueError, match="one-hot.*GeneralizedSupConLoss"):
        supcon_tf.SupConLoss()(source.labels, tf.ones([6, 2, 3]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (ROWS[:, :2], r"one for each of two or more `class_names`.*shape=\(6, 2\).*3 class names"),
        (np.zeros([6, 1], int), r"Class ids must have the shape \[samples\].*shape=\(6, 1\)"),
        (ROWS.astype(str), "must be numbers.*dtype=<U"),
        (-ROWS, "not negative.*Received: values from -2.0"),
        (np.where(ROWS == 2, np.nan, ROWS), "finite.*Received: values from nan"),
        (ROWS[:, 0], "or label distributions.*Received: shape=.*dtype=float64"),
        (ROWS[:, :, None], r"or label distributions.*Received: shape=\(6, 3, 1\)"),
        (ROWS[:5], "Received: 6 images, 5 labels"),
    ],
)
def test_bad_distributions(labels, message):
    with pytest.raises(ValueError, match=message):
        several(labels)


def test_bad_distributions_of_tensors():
    with pytest.raises(ValueError, match="one for each of two or more `class_names`"):
        TensorSource(np.zeros(6), ROWS, ["a", "b"])
