"""The denominator with the averages of classes (balanced contrastive learning)."""

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import SupConLoss

RNG = np.random.default_rng(0)
IDS = np.array([0, 0, 1, 0, 2, 0, 1, -1, 3])  # 3 has no other sample, -1 no label
Z = RNG.normal(size=[9, 2, 4])
REF_IDS = np.array([0, 5, 1, 5, 0, 0])
REF_Z = RNG.normal(size=[6, 4])


def naive(z, ids, temperature, summation, ref_z=None, ref_ids=None):
    """A loop over anchors and classes. An unlabeled sample is a class of its own."""
    rows = z.reshape(-1, z.shape[-1])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    classes = np.repeat(np.where(ids < 0, 100 + np.arange(len(ids)), ids), z.shape[1])
    columns, column_classes = rows, classes
    if ref_z is not None:
        columns = ref_z / np.linalg.norm(ref_z, axis=1, keepdims=True)
        column_classes = ref_ids
    losses = []
    for i, anchor in enumerate(rows):
        logits = columns @ anchor / temperature
        is_other = np.arange(len(columns)) != i if ref_z is None else np.ones(len(columns), bool)
        positives = is_other & (column_classes == classes[i])
        denominator = sum(
            np.mean(np.exp(logits[is_other & (column_classes == c)]))
            for c in np.unique(column_classes[is_other])
        )
        if not positives.any():
            losses.append(0.0)
        elif summation == "outside":
            losses.append(np.mean(np.log(denominator) - logits[positives]))
        else:
            losses.append(np.log(denominator) - np.log(np.mean(np.exp(logits[positives]))))
    return np.mean(losses)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("temperature", [0.3, 0.02])
@pytest.mark.parametrize("summation", ["outside", "inside"])
def test_loss_and_gradient_equal_a_loop(temperature, summation):
    loss = SupConLoss(
        temperature,
        summation=summation,
        denominator="class_average",
        block_size=7,
        dtype="float64",
    )
    z = tf.constant(Z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(IDS, z)
    assert float(value) == pytest.approx(naive(Z, IDS, temperature, summation), rel=1e-10)
    numeric = np.zeros_like(Z)
    for index in np.ndindex(Z.shape):
        step = np.zeros_like(Z)
        step[index] = 1e-6
        numeric[index] = (
            naive(Z + step, IDS, temperature, summation)
            - naive(Z - step, IDS, temperature, summation)
        ) / 2e-6
    scale = np.abs(numeric).max()
    np.testing.assert_allclose(tape.gradient(value, z), numeric, atol=1e-6 * scale)


@pytest.mark.usefixtures("uncompiled")
def test_references_are_averaged_by_class():
    loss = SupConLoss(0.3, denominator="class_average", dtype="float64")
    value = loss.contrast(Z, IDS, REF_Z, REF_IDS)
    expected = naive(Z, IDS, 0.3, "outside", REF_Z, REF_IDS)
    assert float(value) == pytest.approx(expected, rel=1e-10)
    # An empty place of a queue does not count.
    refs = np.concatenate([REF_Z, np.ones([1, 4])])
    masked = loss.contrast(Z, IDS, refs, [*REF_IDS, -1], ref_mask=[True] * 6 + [False])
    assert float(masked) == pytest.approx(expected, rel=1e-10)
    with pytest.raises(ValueError, match="another denominator than 'class_average'"):
        loss.contrast(Z, IDS, REF_Z, REF_IDS, include_batch=True)


def test_classes_of_equal_size_differ_by_a_constant_from_the_sum():
    ids = np.repeat(np.arange(4), 2)
    z = np.ones([8, 1, 3])
    value = SupConLoss(0.1, denominator="class_average")(ids, z)
    assert float(value) == pytest.approx(np.log(4), rel=1e-5)
