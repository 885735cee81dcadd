"""Losses of other papers that are options of SupConLoss, from their own equations."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import PairwiseSupConLoss, SupConLoss

DATA = pathlib.Path(__file__).parents[1] / "data"

RNG = np.random.default_rng(0)
IDS = np.array([0, 1, 0, 2, 1, 0, 2, 1])
Z = RNG.normal(size=[8, 2, 5])
ROWS = (Z / np.linalg.norm(Z, axis=2, keepdims=True)).reshape(16, 5)
ROW_IDS = np.repeat(IDS, 2)
TEMPERATURE = 0.3


def others(i):
    return [j for j in range(16) if j != i]


def similarity(i, j):
    return ROWS[i] @ ROWS[j] / TEMPERATURE


@pytest.mark.usefixtures("uncompiled")
def test_sincere():
    """Feeney and Hughes, 2023: one positive and all negatives in the denominator."""

    def anchor_loss(i):
        positives = [j for j in others(i) if ROW_IDS[j] == ROW_IDS[i]]
        negatives = [j for j in others(i) if ROW_IDS[j] != ROW_IDS[i]]
        noise = sum(np.exp(similarity(i, n)) for n in negatives)
        return -np.mean(
            [
                np.log(np.exp(similarity(i, p)) / (np.exp(similarity(i, p)) + noise))
                for p in positives
            ]
        )

    loss = SupConLoss(TEMPERATURE, denominator="one_positive", dtype="float64")
    expected = np.mean([anchor_loss(i) for i in range(16)])
    assert float(loss(IDS, Z)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_decoupled_contrastive_learning():
    """Yeh et al., 2022: two views, no labels, and no positive in the denominator."""

    def anchor_loss(i):
        partner = i ^ 1
        negatives = [j for j in others(i) if j != partner]
        return -similarity(i, partner) + np.log(sum(np.exp(similarity(i, n)) for n in negatives))

    loss = SupConLoss(TEMPERATURE, denominator="only_negatives", dtype="float64")
    expected = np.mean([anchor_loss(i) for i in range(16)])
    assert float(loss(np.full(8, -1), Z)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_soft_nearest_neighbors():
    """Frosst et al., 2019: a ratio of sums over squared distances at twice the temperature."""

    def weight(i, j):
        return np.exp(-np.sum((ROWS[i] - ROWS[j]) ** 2) / (2 * TEMPERATURE))

    def anchor_loss(i):
        positives = [j for j in others(i) if ROW_IDS[j] == ROW_IDS[i]]
        ratio = sum(weight(i, p) for p in positives) / sum(weight(i, j) for j in others(i))
        return -np.log(ratio) + np.log(len(positives))

    loss = SupConLoss(TEMPERATURE, summation="inside", dtype="float64")
    expected = np.mean([anchor_loss(i) for i in range(16)])
    assert float(loss(IDS, Z)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_eps_sup_info_nce():
    """Barbano et al., 2023: SINCERE with a margin, against the authors' code."""
    outputs = np.load(DATA / "other_libraries.npz")
    case = {name: outputs[f"eps_sup_info_nce/{name}"] for name in ("embeddings", "class_ids")}
    z = tf.constant(case["embeddings"])
    loss = SupConLoss(
        float(outputs["eps_sup_info_nce/temperature"]),
        denominator="one_positive",
        margin=float(outputs["eps_sup_info_nce/margin"]),
        normalize=False,
        dtype="float64",
    )
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(case["class_ids"], z)
    # Their code adds 1e-6 to the denominator.
    assert float(value) == pytest.approx(float(outputs["eps_sup_info_nce/loss"]), abs=5e-6)
    expected = outputs["eps_sup_info_nce/gradient"]
    np.testing.assert_allclose(tape.gradient(value, z), expected, atol=2e-6)
    assert SupConLoss.from_config(loss.get_config()).margin == loss.margin


@pytest.mark.usefixtures("uncompiled")
def test_the_margin_of_the_mean_inside():
    """The mean of the quotients with a margin, and an anchor without negatives."""
    margin = 0.7

    def anchor_loss(i, ids):
        positives = [j for j in others(i) if ids[j] == ids[i]]
        noise = sum(np.exp(similarity(i, n)) for n in others(i) if ids[n] != ids[i])
        return -np.log(
            np.mean(
                [
                    np.exp(similarity(i, p)) / (np.exp(similarity(i, p) - margin) + noise)
                    for p in positives
                ]
            )
        )

    loss = SupConLoss(
        TEMPERATURE, summation="inside", denominator="one_positive", margin=margin, dtype="float64"
    )
    expected = np.mean([anchor_loss(i, ROW_IDS) for i in range(16)])
    assert float(loss(IDS, Z)) == pytest.approx(expected, rel=1e-12)
    assert float(loss(np.zeros(8, int), Z)) == pytest.approx(-margin, rel=1e-12)


def test_a_margin_requires_one_positive():
    with pytest.raises(ValueError, match="`margin` requires.*Received: margin=0.5"):
        SupConLoss(margin=0.5)
    with pytest.raises(ValueError, match="`margin` must be a finite number of at least 0"):
        SupConLoss(denominator="one_positive", margin=-1)


@pytest.mark.usefixtures("uncompiled")
def test_k_positive_contrastive_learning():
    """Kang et al., 2021: k positives of each anchor, all other rows in the denominator."""
    weights = np.eye(8)  # the other views of an anchor are always positives
    for i in range(8):
        weights[i, [j for j in range(8) if j != i and IDS[j] == IDS[i]][:1]] = 1

    def anchor_loss(i):
        positives = [j for j in others(i) if weights[i // 2, j // 2]]
        total = sum(np.exp(similarity(i, j)) for j in others(i))
        return -np.mean([np.log(np.exp(similarity(i, p)) / total) for p in positives])

    loss = PairwiseSupConLoss(TEMPERATURE, dtype="float64")
    expected = np.mean([anchor_loss(i) for i in range(16)])
    assert float(loss(weights, Z)) == pytest.approx(expected, rel=1e-12)
    capped = SupConLoss(TEMPERATURE, positives_cap=2, dtype="float64")(IDS, Z)
    assert float(capped) < expected  # its denominator has fewer positives
