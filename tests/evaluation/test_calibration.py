import numpy as np
import pytest

from supcon_tf import evaluation

LOGITS = np.random.default_rng(0).normal(size=[500, 4]) * 2
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
LABELS = np.random.default_rng(1).integers(0, 4, 500)


def naive(probabilities, labels, bins):
    """Mean confidence, accuracy and count of each bin, and the expected calibration error."""
    members = [[] for _ in range(bins)]
    for row, label in zip(probabilities, labels, strict=True):
        for m in range(bins):
            if m / bins < max(row) <= (m + 1) / bins:
                members[m].append((max(row), row.argmax() == label))
    means = [np.mean(m, axis=0) if m else (np.nan, np.nan) for m in members]
    counts = [len(m) for m in members]
    gaps = [c * abs(a - b) for c, (a, b) in zip(counts, means, strict=True) if c]
    return *np.transpose(means), counts, sum(gaps) / len(labels)


@pytest.mark.parametrize("bins", [1, 10, 15, 100])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_against_the_definition(bins, dtype):
    probabilities = PROBABILITIES.astype(dtype)
    *curve, error = naive(probabilities.astype("float64"), LABELS, bins)
    actual = evaluation.reliability_curve(probabilities, LABELS, bins)
    for column, expected in zip(actual, curve, strict=True):
        np.testing.assert_allclose(column, expected, rtol=1e-12)
    assert actual.count.sum() == 500
    assert evaluation.expected_calibration_error(
        probabilities, LABELS[:, None], bins
    ) == pytest.approx(error)


def test_by_hand():
    """Two bins: confidence 0.95 with 2 of 4 correct, and 0.55 with 1 of 1 correct."""
    probabilities = [[0.95, 0.05]] * 4 + [[0.45, 0.55]]
    error = evaluation.expected_calibration_error(probabilities, [0, 0, 1, 1, 1])
    assert error == pytest.approx((4 * 0.45 + 1 * 0.45) / 5)


@pytest.mark.parametrize(("confidence", "expected"), [(0.6, 2), (0.7, 3), (0.8, 3), (1.0, 4)])
def test_bins_include_their_upper_edge(confidence, expected):
    count = evaluation.reliability_curve([[confidence, 1 - confidence]], [0], 5).count
    assert count.argmax() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": LOGITS}, "`probabilities` must be non-negative with sum 1.*Received: "),
        ({"probabilities": PROBABILITIES * 1.1}, "`probabilities` must be.*sums from 1.1 to 1.1"),
        ({"labels": LABELS + 1}, "`labels` must be from 0 to 3.*Received: ids from 1 to 4"),
        ({"labels": LABELS[:9]}, "`labels` must be integer class ids"),
        ({"bins": 0}, "`bins` must be an integer of at least 1. Received: 0"),
    ],
)
def test_bad_arguments(changes, message):
    arguments = {"probabilities": PROBABILITIES, "labels": LABELS, **changes}
    with pytest.raises(ValueError, match=message):
        evaluation.expected_calibration_error(**arguments)
