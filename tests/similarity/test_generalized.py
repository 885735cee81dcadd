"""Compares the streaming loss of label distributions with its definition."""

import naive
import numpy as np
import pytest
import tensorflow as tf
from naive import relative, rows, value_and_gradient

from supcon_tf.similarity import (
    generalized_supcon,
    make_anchor_and_contrast_rows,
    make_rows,
    supcon,
)
from supcon_tf.similarity.label_sums import Distributions, weight_sums, weighted_similarities

BATCH = 30


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def distributions(kind):
    """`[BATCH, classes]` float32 labels."""
    rng = np.random.default_rng(0)
    one_hot = np.eye(1000)[rng.integers(0, 1000, BATCH)]
    lam = rng.beta(1, 1, [BATCH, 1])
    labels = {
        "peaky": softmax(10 * rng.normal(size=[BATCH, 10])),
        "flat": softmax(0.01 * rng.normal(size=[BATCH, 10])),
        "mixed": lam * one_hot + (1 - lam) * one_hot[::-1],
        "multi-hot": (rng.random([BATCH, 12]) < 0.3).astype(float) + np.eye(12)[0],
        "teacher": softmax(40 * np.eye(100)[np.arange(BATCH) % 7] + rng.normal(size=[BATCH, 100])),
        "disjoint": np.eye(BATCH)[np.arange(BATCH)] * 1e-3,
        "scaled": rng.random([BATCH, 5]) * 10.0 ** rng.integers(-20, 20, [BATCH, 1]),
        "some zero": rng.random([BATCH, 5]) * (np.arange(BATCH) % 4 > 0)[:, None],
    }
    return labels[kind].astype("float32")


KINDS = ["peaky", "flat", "mixed", "multi-hot", "teacher", "disjoint", "scaled", "some zero"]


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("kind", KINDS)
def test_target_term_in_logits(kind):
    z = rows("random", BATCH, 1)[0]
    y = distributions(kind)
    w = naive.label_weights(y, np.arange(BATCH)) * (y.any(1) & y.any(1)[:, None])
    total = w.sum(1)
    s = z.astype("float64") @ z.T.astype("float64") / 0.01
    expected = np.divide((w * s).sum(1), total, out=np.zeros(BATCH), where=total > 1e-6)
    labels = Distributions(tf.constant(y))
    similar = weighted_similarities(tf.constant(z), labels, None, None, 0.01)
    sums = weight_sums(labels, None, exclude_self=True).numpy()
    np.testing.assert_allclose(sums, total, rtol=1e-6, atol=1e-12)
    actual = np.divide(similar, sums, out=np.zeros(BATCH), where=sums > 1e-6)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def dense(z, w, temperature):
    """The losses in float32 with the whole similarity matrix."""
    itself = tf.eye(len(w), dtype=tf.bool)
    s = tf.where(itself, tf.float32.min, tf.matmul(z, z, transpose_b=True) / temperature)
    log_p = s - tf.reduce_logsumexp(s, axis=1, keepdims=True)
    w = tf.constant(w, tf.float32)
    total = tf.reduce_sum(w, axis=1)
    target = tf.reduce_sum(tf.where(w > 0, w * log_p, 0.0), axis=1)
    return -tf.math.divide_no_nan(target, tf.where(total > 1e-6, total, 0.0))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("embeddings", "temperature"),
    [("random", 0.01), ("clustered", 1.0), ("clustered", 0.01)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_as_exact_as_the_dense_gradient(kind, embeddings, temperature):
    z, _, samples, upstream = rows(embeddings, BATCH, 1)
    y = tf.constant(distributions(kind))
    w = naive.label_weights(y.numpy(), samples)
    _, slopes, c = naive.generalized(z, w, temperature)
    expected = naive.gradients(slopes, upstream, z, c, temperature, True)
    _, streamed = value_and_gradient(
        lambda z: generalized_supcon(
            make_rows(z, samples, samples), y, None, None, temperature, block_size=8
        ),
        z,
        upstream,
    )
    _, dense_gradient = value_and_gradient(dense, z, upstream, w, temperature)
    errors = [np.linalg.norm(x - expected) for x in (streamed, dense_gradient)]
    # Ignore differences of a few units in the last place.
    assert errors[0] <= max(2 * errors[1], 3e-7 * np.linalg.norm(expected))


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("kind", "weighting"),
    [
        *((kind, "similarity_sum") for kind in KINDS),
        # Only the divisor differs.
        *((kind, "contrast_count") for kind in ("mixed", "disjoint", "scaled", "some zero")),
    ],
)
def test_equals_the_definition(kind, weighting):
    z, _, samples, upstream = rows("random", BATCH, 1)
    y = tf.constant(distributions(kind))
    w = naive.label_weights(y.numpy(), samples)
    for temperature in (1.0, 0.1, 0.01):
        expected, slopes, c = naive.generalized(z, w, temperature, weighting=weighting)
        actual, gradient = value_and_gradient(
            lambda z, temperature: generalized_supcon(
                make_rows(z, samples, samples), y, None, None, temperature,
                weighting=weighting, block_size=8,
            ),
            z, upstream, temperature,
        )  # fmt: skip
        assert relative(actual, expected) <= (5e-6 if temperature == 0.01 else 2e-6)
        expected_gradient = naive.gradients(slopes, upstream, z, c, temperature, True)
        assert relative(gradient, expected_gradient) <= 5e-6


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
def test_other_contrasts_equal_the_definition():
    z, _, samples, upstream = rows("random", BATCH, 1)
    c = rows("random", 20, 1, seed=1)[0]
    y, contrast_y = distributions("some zero"), distributions("some zero")[5:25]
    # The first contrast is another view of sample 4, which is unlabeled on both sides.
    contrast_samples = np.arange(100, 120)
    contrast_samples[3] = 8
    w = naive.label_weights(y, samples, contrast_y, contrast_samples)
    assert w[8, 3] == 1
    expected, slopes, _ = naive.generalized(z, w, 0.1, contrasts=c)
    dz, dc = naive.gradients(slopes, upstream, z, c.astype("float64"), 0.1, False)
    classes = np.where(y.any(1), np.arange(BATCH), -1)
    contrast_classes = np.where(contrast_y.any(1), 100 + np.arange(20), -1)
    anchors, contrasts = tf.constant(z), tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch([anchors, contrasts])
        i, j = make_anchor_and_contrast_rows(
            anchors, classes, samples, contrasts, contrast_classes, contrast_samples
        )
        actual = generalized_supcon(i, tf.constant(y), j, tf.constant(contrast_y), 0.1)
        total = tf.reduce_sum(actual * upstream)
    gradients = tape.gradient(total, [anchors, contrasts])
    assert relative(actual, expected) <= 2e-6
    assert relative(gradients[0], dz) <= 5e-6
    assert relative(gradients[1], dc) <= 5e-6


@pytest.mark.gpu
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("temperature", [0.1, 0.01])
def test_one_hot_rows_are_classes(temperature):
    z, _, samples, upstream = rows("random", BATCH, 1)
    ids = np.arange(BATCH) % 4
    classes = value_and_gradient(
        lambda z: supcon(make_rows(z, ids, samples), None, temperature), z, upstream
    )
    y = tf.one_hot(ids, 4)
    cosines = value_and_gradient(
        lambda z: generalized_supcon(make_rows(z, samples, samples), y, None, None, temperature),
        z,
        upstream,
    )
    for actual, expected in zip(cosines, classes, strict=True):
        assert relative(actual, expected) <= 2e-6


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize("compile_all", [False, True])
def test_compiled_for_any_number_of_rows(compile_all):
    @tf.function(
        jit_compile=compile_all,
        input_signature=[
            tf.TensorSpec([None, 8], tf.float32),
            tf.TensorSpec([None, 5], tf.float32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None], tf.float32),
        ],
    )
    def loss_and_gradient(z, y, samples, upstream):
        with tf.GradientTape() as tape:
            tape.watch(z)
            i = make_rows(z, samples, samples)
            value = generalized_supcon(i, y, None, None, 0.1, unit_length=True, block_size=8)
            total = tf.reduce_sum(value * upstream)
        return value, tape.gradient(total, z)

    z, _, samples, upstream = rows("random", BATCH, 1)
    y = distributions("some zero")
    for n in (BATCH,) if compile_all else (3, BATCH):  # XLA compiles each
        w = naive.label_weights(y[:n], samples[:n])
        expected, slopes, c = naive.generalized(z[:n], w, 0.1)
        actual, gradient = loss_and_gradient(z[:n], y[:n], samples[:n], upstream[:n])
        assert relative(actual, expected) <= 2e-6
        expected_gradient = naive.gradients(slopes, upstream[:n], z[:n], c, 0.1, True)
        assert relative(gradient, expected_gradient) <= 5e-6
