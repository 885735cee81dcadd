import math

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf.similarity.dense import positive_mask, supcon_dense


def naive_supcon(z, class_ids, sample_ids, temperature):
    """Eq. 2 as nested loops over anchors, positives and others, in float64."""
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [
            p
            for p in others
            if sample_ids[p] == sample_ids[i]
            or (class_ids[p] == class_ids[i] and class_ids[i] != -1)
        ]
        logits = {a: float(np.dot(z[i], z[a])) / temperature for a in others}
        if not positives:
            losses.append(0.0)
            continue
        highest = max(logits.values())
        log_sum = highest + math.log(sum(math.exp(s - highest) for s in logits.values()))
        losses.append(sum(log_sum - logits[p] for p in positives) / len(positives))
    return np.array(losses)


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.07, 0.01])
@pytest.mark.parametrize("views", [1, 2, 3])
def test_equals_loops_over_anchors_and_positives(views, temperature):
    rng = np.random.default_rng(views)
    z = rng.normal(size=[10 * views, 6])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    class_ids = np.repeat([5, 5, 5, -1, -1, 2, 2, -7, -7, 900], views)
    sample_ids = np.repeat(np.arange(10), views)
    expected = naive_supcon(z, class_ids, sample_ids, temperature)
    for dtype, tolerance in [("float64", 1e-12), ("float32", 5e-6)]:
        actual = supcon_dense(tf.constant(z, dtype), class_ids, sample_ids, temperature)
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_positives_share_a_class_or_a_sample():
    class_ids = tf.constant([3, 3, -1, -1, -1], tf.int64)
    sample_ids = tf.constant([0, 1, 2, 2, 3])
    expected = np.zeros([5, 5], bool)
    expected[0, 1] = expected[1, 0] = True  # one class
    expected[2, 3] = expected[3, 2] = True  # two views of an unlabeled sample
    np.testing.assert_array_equal(positive_mask(class_ids, sample_ids), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_collapsed_rows_have_the_loss_log_n_minus_1(temperature):
    z = tf.tile([[0.6, 0.8]], [12, 1])
    losses = supcon_dense(z, tf.zeros([12], tf.int64), tf.range(12), temperature)
    np.testing.assert_allclose(losses, np.full(12, math.log(11)), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.gpu
def test_opposite_rows_at_a_low_temperature_do_not_underflow():
    z = tf.constant([[1.0, 0.0], [-1.0, 0.0]])
    losses = supcon_dense(z, tf.zeros([2], tf.int64), tf.range(2), 0.01)
    # The positive is the only other row: its probability is 1 at any distance.
    np.testing.assert_allclose(losses, [0.0, 0.0], atol=1e-5)
