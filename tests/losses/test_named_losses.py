"""Losses of other papers that are options of SupConLoss, from their own equations."""

import numpy as np
import pytest

from supcon_tf import SupConLoss

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
