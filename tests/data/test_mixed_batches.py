import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import augmentation
from supcon_tf.augmentation import Mixing
from supcon_tf.data import ArrayImages, batches_from_step, mix_batches, multi_view_batches

IDS = np.array([0, 1, 2, 0, 1, 2, 0, -1])


def batches_of_views():
    noise = np.random.default_rng(0).integers(0, 255, [8, 6, 6, 1]).astype(np.uint8)
    source = ArrayImages(noise, np.maximum(IDS, 0), list("abc"))
    return multi_view_batches(source, augmentation.crop_flip(6), batch_size=4)


def batches_of(labels, views=None):
    views = np.ones([len(labels), 2, 4, 4, 1], np.float32) if views is None else views
    return tf.data.Dataset.from_tensor_slices((views, labels)).batch(4, drop_remainder=True)


@pytest.mark.slow
def test_shapes_and_length_stay_static():
    mixed = mix_batches(batches_of_views(), Mixing("mixup_cutmix"), num_classes=3)
    assert len(mixed) == 2
    views, labels = mixed.element_spec
    assert views.shape == (4, 2, 6, 6, 1)
    assert (labels.shape, labels.dtype) == ((4, 2, 3), tf.float32)
    unknown = mix_batches(batches_of_views().unbatch().batch(3), Mixing("mixup"), num_classes=3)
    assert [views.shape[0] for views, _ in unknown] == [3, 3, 2]


@pytest.mark.slow
def test_the_same_seed_and_step_give_bitwise_the_same_batches():
    def mixed(seed=0):
        mixing = Mixing("mixup_cutmix", per_sample=True)
        return mix_batches(batches_of_views(), mixing, num_classes=3, seed=seed)

    def arrays(batches):
        return [(views.numpy(), labels.numpy()) for views, labels in batches]

    passes = mixed()
    first = [*arrays(passes), *arrays(passes)]
    # Batches from the middle on continue like those from the beginning.
    for one, same in zip(first[1:], arrays(batches_from_step(passes, 1).take(3)), strict=True):
        np.testing.assert_array_equal(one[0], same[0])
        np.testing.assert_array_equal(one[1], same[1])
    assert not np.array_equal(first[0][0], arrays(mixed(seed=1))[0][0])


def test_every_step_mixes_differently():
    mixed = mix_batches(batches_of(np.tile([0, 1, 2, 0], 5)), Mixing("mixup"), num_classes=3)
    labels = np.array([labels for _, labels in mixed])
    assert len(np.unique(labels.reshape(5, -1), axis=0)) == 5


@pytest.mark.slow
def test_ids_mix_like_one_hot_rows_and_unlabeled_samples_like_rows_of_zeros():
    one_hot = np.where(IDS[:, None] < 0, 0, np.eye(3)[IDS])
    ids, rows = (
        mix_batches(batches_of(labels), Mixing("mixup"), num_classes=3) for labels in (IDS, one_hot)
    )
    weights = []
    for (_, from_ids), (_, from_rows) in zip(ids, rows, strict=True):
        np.testing.assert_allclose(from_ids, from_rows, atol=1e-6)
        weights.append(tf.reduce_sum(from_ids, -1).numpy())
    np.testing.assert_allclose(weights[0], np.ones([4, 2]), atol=1e-6)
    assert (weights[1].min(0) < 0.99).all()
    np.testing.assert_allclose(
        weights[1].sum(0), [3, 3], atol=1e-5
    )  # without the weight of the unlabeled sample


def test_labels_are_smoothed_before_they_are_mixed():
    plain, smooth = (
        np.concatenate(
            [
                labels
                for _, labels in mix_batches(
                    batches_of(IDS), Mixing("mixup"), num_classes=3, label_smoothing=smoothing
                )
            ]
        )
        for smoothing in (0.0, 0.3)
    )
    expected = 0.7 * plain + 0.1 * plain.sum(-1, keepdims=True)
    np.testing.assert_allclose(smooth, expected, atol=1e-6)


def test_sample_weights_do_not_change():
    batches = batches_of(IDS).map(lambda views, labels: (views, labels, tf.range(4)))
    for _, _, weights in mix_batches(batches, Mixing("mixup"), num_classes=3):
        np.testing.assert_array_equal(weights, range(4))


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (IDS, {"num_classes": 1}, "`num_classes`.*Received: 1"),
        (IDS, {"label_smoothing": 1.0}, "`label_smoothing`.*Received: 1.0"),
        (IDS, {"label_smoothing": -0.1}, "`label_smoothing`.*Received: -0.1"),
        (np.ones([8, 4]), {}, r"num_classes\].*shape=\(4, 4\), num_classes=3"),
        (np.ones([8, 2, 3]), {}, r"shape=\(4, 2, 3\)"),
        (IDS.astype(float), {}, "must be integers.*dtype=float64"),
    ],
)
def test_bad_arguments_and_shapes(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        mix_batches(batches_of(labels), Mixing("mixup"), **{"num_classes": 3, **arguments})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (IDS + 1, "below `num_classes`=3"),
        (IDS - 1, "at least -1"),
        (np.tile([[0.5, 0.6, -0.1]], [8, 1]), "not negative"),
        (np.tile([[0.5, np.nan, 0.1]], [8, 1]), "finite"),
    ],
)
def test_bad_values(labels, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(mix_batches(batches_of(labels), Mixing("mixup"), num_classes=3))
