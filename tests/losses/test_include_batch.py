"""Anchors that are compared with their batch and with references, as one set of columns."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import GeneralizedSupConLoss, SupConLoss

RNG = np.random.default_rng(0)
BATCH, VIEWS, REFS = 5, 2, 7
Z = RNG.normal(size=[BATCH, VIEWS, 4])
REF_Z = RNG.normal(size=[REFS, 4])
IDS = np.array([0, 1, 0, -1, 3])
REF_IDS = np.array([1, 0, -1, 2, 1, 3, -1])
MASK = np.array([True] * 6 + [False])  # of the empty place of a queue

LOSSES = [
    SupConLoss(0.2, dtype="float64"),
    SupConLoss(0.02, dtype="float64"),  # no fixed shift is safe
    SupConLoss(0.2, summation="inside", denominator="one_positive", dtype="float64"),
    SupConLoss(0.2, denominator="only_negatives", anchors="first_view", dtype="float64"),
    GeneralizedSupConLoss(0.2, dtype="float64"),
    GeneralizedSupConLoss(0.2, weighting="contrast_count", dtype="float64"),
]


def one_hot(ids):
    return np.eye(4)[ids] * (ids >= 0)[:, None]


def loss_of_columns(loss, z, ref_z):
    """The loss of every anchor alone, whose references are all other rows."""
    generalized = isinstance(loss, GeneralizedSupConLoss)
    labels, ref_labels = (one_hot(IDS), one_hot(REF_IDS)) if generalized else (IDS, REF_IDS)
    rows = tf.reshape(z, [BATCH * VIEWS, 4])
    total = 0.0
    views = VIEWS if loss.anchors == "all_views" else 1
    for sample in range(BATCH):
        for view in range(views):
            others = [k for k in range(BATCH * VIEWS) if k != sample * VIEWS + view]
            total += loss.contrast(
                z[sample : sample + 1, view],
                labels[sample : sample + 1],
                tf.concat([tf.gather(rows, others), ref_z[:6]], 0),
                np.concatenate([np.repeat(labels, VIEWS, axis=0)[others], ref_labels[:6]]),
                ref_sample_ids=[0 if k // VIEWS == sample else -1 for k in others] + [-1] * 6,
            )
    return total / (BATCH * views)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("loss", LOSSES)
def test_the_batch_and_the_references_are_one_set_of_columns(loss):
    generalized = isinstance(loss, GeneralizedSupConLoss)
    labels, ref_labels = (one_hot(IDS), one_hot(REF_IDS)) if generalized else (IDS, REF_IDS)
    z, ref_z = tf.constant(Z), tf.constant(REF_Z)
    results = []
    for compute in (
        lambda: loss.contrast(z, labels, ref_z, ref_labels, ref_mask=MASK, include_batch=True),
        lambda: loss_of_columns(loss, z, ref_z),
    ):
        with tf.GradientTape() as tape:
            tape.watch([z, ref_z])
            value = compute()
        results.append((value, *tape.gradient(value, [z, ref_z])))
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("loss", [SupConLoss(0.2), GeneralizedSupConLoss(0.2)])
def test_an_empty_queue_changes_nothing(loss):
    labels = one_hot(IDS) if isinstance(loss, GeneralizedSupConLoss) else IDS
    empty = np.zeros([3, *np.shape(labels)[1:]]) - (np.ndim(labels) == 1)
    value = loss.contrast(
        Z,
        labels,
        np.zeros([3, 4]),
        empty.astype(labels.dtype),
        ref_mask=[False] * 3,
        include_batch=True,
    )
    np.testing.assert_allclose(value, loss(labels, Z), rtol=1e-6)


def test_capped_positives_are_refused():
    with pytest.raises(ValueError, match="`include_batch` requires a loss without `positives_cap`"):
        SupConLoss(positives_cap=2).contrast(Z, IDS, REF_Z, REF_IDS, include_batch=True)
