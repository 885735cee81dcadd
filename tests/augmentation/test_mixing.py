"""Tests on samples whose pixels identify them: channel k and label k of sample k are 1.

The label of a mixed view must then equal the mean over its pixels.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from supcon_tf.augmentation.mixing import KINDS, Mixing, _cut_box, symmetric_beta

HEIGHT, WIDTH = 6, 10


def labeled_pixels(samples, views):
    labels = tf.eye(samples)
    images = tf.broadcast_to(labels[:, None, None, None], [samples, views, HEIGHT, WIDTH, samples])
    return images, labels


def mix(mixing, samples=3, views=2, seed=(0, 1)):
    mixed = mixing(*labeled_pixels(samples, views), seed=tf.constant(seed))
    return [x.numpy() for x in mixed]


def own_weight(labels):
    """Weight of each sample's own label, `[samples, views]`, or -1 if it is its own partner."""
    return np.where(labels.max(-1) == 1, -1, np.einsum("ivi->iv", labels))


@pytest.mark.parametrize("per_sample", [False, True])
def test_the_label_of_cutmix_counts_the_pasted_pixels(per_sample):
    images, labels = mix(Mixing("cutmix", per_sample=per_sample), views=1000)
    assert set(np.unique(images)) == {0, 1}
    counts = images.sum((2, 3)).astype(int)  # the number of pixels of each sample
    np.testing.assert_array_equal(counts.sum(-1), np.full([3, 1000], HEIGHT * WIDTH))
    np.testing.assert_array_equal(np.rint(labels * (HEIGHT * WIDTH)), counts)
    np.testing.assert_allclose(labels, counts / (HEIGHT * WIDTH), rtol=0, atol=6e-8)
    own = counts[0, :, 0]
    assert len(set(own)) > 15  # many different sizes
    if per_sample:
        assert np.mean(counts[0, :, 0] != counts[1, :, 1]) > 0.5


@pytest.mark.parametrize("per_sample", [False, True])
def test_cutmix_pastes_a_box_with_even_sides_unless_it_is_clipped(per_sample):
    images, _ = mix(Mixing("cutmix", per_sample=per_sample), views=200)
    pasted = images[0, ..., 0] == 0
    for view in pasted[pasted.any((1, 2))]:
        rows, columns = np.flatnonzero(view.any(1)), np.flatnonzero(view.any(0))
        assert view.sum() == len(rows) * len(columns)
        for places, length in ((rows, HEIGHT), (columns, WIDTH)):
            np.testing.assert_array_equal(np.diff(places), 1)
            assert len(places) % 2 == 0 or places[0] == 0 or places[-1] == length - 1


def test_the_box_equals_that_of_the_authors_code():
    # The authors' integer arithmetic, for given draws of lambda and the center.
    rng = np.random.default_rng(0)
    lam, y, x = rng.random([3, 500]).astype("float32")
    outside, kept = _cut_box(*map(tf.constant, (lam, y, x)), HEIGHT, WIDTH)
    for k in range(500):
        ratio = np.sqrt(np.float32(1) - lam[k])
        cut_h, cut_w = int(HEIGHT * ratio), int(WIDTH * ratio)
        cy, cx = int(y[k] * HEIGHT), int(x[k] * WIDTH)
        expected = np.ones([HEIGHT, WIDTH])
        expected[
            np.clip(cy - cut_h // 2, 0, HEIGHT) : np.clip(cy + cut_h // 2, 0, HEIGHT),
            np.clip(cx - cut_w // 2, 0, WIDTH) : np.clip(cx + cut_w // 2, 0, WIDTH),
        ] = 0
        np.testing.assert_array_equal(outside[k], expected)
        assert kept[k] == np.float32(expected.sum()) / np.float32(HEIGHT * WIDTH)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("per_sample", [False, True])
def test_lambda_follows_the_beta_distribution(alpha, per_sample):
    _, labels = mix(Mixing("mixup", alpha, per_sample), samples=2, views=4000)
    # With two samples, each is the partner of the other in half of the views.
    swapped = labels[:, :, 0] + labels[:, :, 1] <= 1 + 1e-6
    own = labels[0, :, 0]
    lam = own[(own < 1) & swapped[0]]
    assert 1800 < len(lam) < 2200 or alpha < 1  # below 1, lambda can round to 1
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("alpha", [1e-3, 0.05, 0.3, 1.0, 30.0, 1e4])
def test_the_sampler_of_lambda(alpha):
    u, v = tf.random.stateless_uniform([2, 20000], seed=[3, 4])
    lam = symmetric_beta(u, v, alpha).numpy()
    assert np.all((lam >= 0) & (lam <= 1))
    # Values that round to 0 or 1 have the same share in the distribution.
    cdf = stats.beta(alpha, alpha).cdf
    inner = lam[(lam > 1e-6) & (lam < 1 - 1e-6)]
    low, high = cdf(1e-6), cdf(1 - 1e-6)
    assert np.mean(lam <= 1e-6) == pytest.approx(low, abs=0.015)
    if len(inner) > 100:
        truncated = stats.kstest(inner, lambda x: (cdf(x) - low) / (high - low))
        assert truncated.pvalue > 0.01


def test_mixup_mixes_pixels_like_labels():
    images, labels = mix(Mixing("mixup"), samples=4, views=50)
    expected = np.broadcast_to(labels[:, :, None, None], images.shape)
    np.testing.assert_allclose(images, expected, atol=1e-7)
    np.testing.assert_allclose(labels.sum(-1), np.ones([4, 50]), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_the_means_of_the_pixels(kind):
    for per_sample in (False, True):
        images, labels = mix(Mixing(kind, per_sample=per_sample), samples=4, views=20)
        np.testing.assert_allclose(images.mean((2, 3)), labels, atol=1e-6)


def test_both_kinds_are_equally_likely():
    images, _ = mix(Mixing("mixup_cutmix"), samples=8, views=400)
    blended = ((images > 0) & (images < 1)).any((2, 3, 4))
    np.testing.assert_array_equal(
        blended.any(0), blended.sum(0) >= 3
    )  # all samples but their own partners
    assert 150 < blended.any(0).sum() < 250
    per_sample, _ = mix(Mixing("mixup_cutmix", per_sample=True), samples=8, views=400)
    blended = ((per_sample > 0) & (per_sample < 1)).any((2, 3, 4))
    assert (blended.mean(0) < 0.95).sum() > 390  # hardly any view has only Mixup


def test_each_view_has_its_own_lambda_box_and_permutation():
    _, labels = mix(Mixing("mixup"), samples=16, views=4)
    per_view = [np.unique(np.round(own[own >= 0], 5)) for own in own_weight(labels).T]
    assert all(len(values) == 1 for values in per_view)  # one lambda for the batch
    assert len({values[0] for values in per_view}) == 4
    partners = [(labels[:, view] * (1 - np.eye(16))).argmax(1) for view in range(4)]
    for partner, own in zip(partners, own_weight(labels).T, strict=True):
        assert len(set(partner[own >= 0])) == (own >= 0).sum()  # no sample is a partner twice
    assert len({tuple(partner) for partner in partners}) == 4
    images, _ = mix(Mixing("cutmix", alpha=8.0), samples=16, views=4)
    pasted = images[np.arange(16), ..., np.arange(16)] == 0
    for view in range(4):  # one box for the batch, except for samples that are their own partner
        others = pasted[pasted[:, view].any((1, 2)), view]
        np.testing.assert_array_equal(others, np.broadcast_to(others[0], others.shape))
    assert len({pasted[:, view].any(0).tobytes() for view in range(4)}) == 4


def test_per_sample_draws_differ_within_a_view():
    _, labels = mix(Mixing("mixup", per_sample=True), samples=16, views=2)
    own = own_weight(labels)
    for view in range(2):
        mixed = own[own[:, view] >= 0, view]
        assert len(np.unique(np.round(mixed, 5))) == len(mixed) > 10


def test_permutations_are_uniform():
    _, labels = mix(Mixing("mixup"), samples=3, views=3000)
    partner = (labels * (1 - np.eye(3))[:, None]).argmax(-1)
    alone = labels.max(-1) == 1
    partner = np.where(alone, np.arange(3)[:, None], partner)
    _, counts = np.unique(partner, axis=1, return_counts=True)
    assert len(counts) == 6
    np.testing.assert_allclose(counts, 500, atol=90)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jit", [False, True])
def test_mixing_is_a_function_of_the_seed(kind, jit):
    images, labels = labeled_pixels(5, 2)
    compiled = tf.function(Mixing(kind), jit_compile=jit)
    seeds = [tf.constant([4, 5]), tf.constant([4, 5]), tf.constant([4, 6])]
    first, again, other = [[x.numpy() for x in compiled(images, labels, seed)] for seed in seeds]
    for x, y, z in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(x, y)
        assert not np.array_equal(x, z)
    np.testing.assert_allclose(first[0].mean((2, 3)), first[1], atol=1e-6)


def test_unlabeled_rows_mix_as_zeros():
    images, _ = labeled_pixels(3, 40)
    labels = tf.constant([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    _, with_label = mix(Mixing("cutmix"), views=40)
    _, mixed = Mixing("cutmix")(images, labels, tf.constant((0, 1)))
    np.testing.assert_allclose(mixed, with_label * [1, 1, 0], atol=1e-7)


def test_shapes_and_dtypes():
    @tf.function(
        input_signature=[tf.TensorSpec([None, 2, None, None, 3]), tf.TensorSpec([None, 4])]
    )
    def unknown_sizes(views, labels):
        mixed_views, mixed_labels = Mixing("mixup_cutmix")(views, labels, [0, 1])
        assert mixed_views.shape.as_list() == [None, 2, None, None, 3]
        assert mixed_labels.shape.as_list() == [None, 2, 4]
        return mixed_views, mixed_labels

    views, labels = unknown_sizes(tf.ones([5, 2, 6, 7, 3]), tf.ones([5, 4]))
    assert views.shape == (5, 2, 6, 7, 3)
    assert labels.shape == (5, 2, 4)
    views, labels = Mixing("cutmix")(
        tf.ones([2, 2, 4, 4, 1], tf.float16), tf.ones([2, 3], tf.float64), [0, 1]
    )
    assert (views.dtype, labels.dtype) == (tf.float16, tf.float64)
    np.testing.assert_array_equal(labels, np.ones([2, 2, 3]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "cutout"}, "`kind` must be one of .*Received: 'cutout'"),
        ({"alpha": 0}, "`alpha` must be a finite number above 0. Received: 0"),
        ({"alpha": -0.5}, "`alpha`.*Received: -0.5"),
        ({"alpha": float("nan")}, "`alpha`.*Received: nan"),
        ({"alpha": float("inf")}, "`alpha`.*Received: inf"),
        ({"alpha": "1"}, "`alpha`.*Received: '1'"),
        ({"alpha": True}, "`alpha`.*Received: True"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixing(**{"kind": "mixup", **arguments})


@pytest.mark.parametrize(
    ("views", "labels", "message"),
    [
        (np.ones([4, 8, 8, 3]), np.ones([4, 3]), r"`views`.*shape=\(4, 8, 8, 3\)"),
        (np.ones([4, 2, 8, 8, 3], np.uint8), np.ones([4, 3]), "`views`.*dtype=uint8"),
        (np.ones([4, 2, 8, 8, 3]), np.ones([4]), r"`labels`.*labels.shape=\(4,\)"),
        (np.ones([4, 2, 8, 8, 3]), np.ones([3, 3]), r"`labels`.*labels.shape=\(3, 3\)"),
        (np.ones([4, 2, 8, 8, 3]), np.ones([4, 3], int), "`labels`.*labels.dtype=int64"),
    ],
)
def test_bad_input(views, labels, message):
    with pytest.raises(ValueError, match=message):
        Mixing("mixup")(views, labels, [0, 1])
