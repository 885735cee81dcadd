import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_curve

from supcon_tf import evaluation

RNG = np.random.default_rng(0)
LABELS = RNG.choice([2, 5, 9], 200, p=[0.7, 0.2, 0.1])
PREDICTIONS = np.where(RNG.random(200) < 2 / LABELS, LABELS, RNG.choice([2, 5, 9], 200))
TARGETS = RNG.random([60, 4]) < 0.3
SCORES = np.round(TARGETS + RNG.normal(size=[60, 4]), 1)  # with ties
DIFFICULT = RNG.random([60, 4]) < 0.2


def test_mean_per_class_accuracy_against_scikit_learn():
    expected = balanced_accuracy_score(LABELS, PREDICTIONS)
    actual = evaluation.mean_per_class_accuracy(PREDICTIONS, LABELS)
    assert actual == pytest.approx(expected)
    assert abs(actual - np.mean(PREDICTIONS == LABELS)) > 0.01


def test_predicted_classes_without_rows():
    assert evaluation.mean_per_class_accuracy([0, 7, 8, 1], [0, 0, 1, 1]) == 0.5


def test_mean_per_class_accuracy_of_bad_arguments():
    with pytest.raises(ValueError, match=r"`labels` must be.*one for each of 3 rows.*\(2,\)"):
        evaluation.mean_per_class_accuracy([0, 1, 1], [0, 1])
    with pytest.raises(
        ValueError, match="`predictions` must have at least one row. Received: no rows"
    ):
        evaluation.mean_per_class_accuracy([], [])
    with pytest.raises(ValueError, match=r"`predictions` must be integer.*shape=\(\)"):
        evaluation.mean_per_class_accuracy(1, 1)


def interpolated(scores, targets):
    """Interpolates the precision-recall curve of scikit-learn."""
    precision, recall, _ = precision_recall_curve(targets, scores)
    at_least = [precision[recall >= tenths / 10 - 1e-9].max() for tenths in range(11)]
    # The curve ends with an extra point of precision 1 at recall 0.
    at_least[0] = precision[:-1].max()
    return np.mean(at_least)


@pytest.mark.parametrize("difficult", [None, DIFFICULT])
def test_voc_against_scikit_learn(difficult):
    counted = np.ones_like(TARGETS) if difficult is None else ~difficult
    expected = [interpolated(SCORES[r, c], TARGETS[r, c]) for c, r in enumerate(counted.T)]
    actual = evaluation.voc_mean_average_precision(SCORES, TARGETS, difficult)
    assert actual == pytest.approx(np.mean(expected))
    order = RNG.permutation(60)
    shuffled = None if difficult is None else difficult[order]
    assert actual == pytest.approx(
        evaluation.voc_mean_average_precision(SCORES[order], TARGETS[order].astype(int), shuffled)
    )


def test_voc_by_hand():
    """Of ten positives, the third has rank 4, and the other seven have ranks 14 to 20.

    The interpolated precision is 1 up to recall 0.2, 3/4 at recall 0.3, and 10/20 above.
    """
    positive = np.array([1, 1, 0, 1] + 9 * [0] + 7 * [1])[:, None]
    actual = evaluation.voc_mean_average_precision(-np.arange(20.0)[:, None], positive)
    assert actual == pytest.approx((3 * 1 + 1 * 3 / 4 + 7 * 10 / 20) / 11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SCORES, TARGETS[:, :3]), r"same shape. Received: \(60, 4\), \(60, 3\), \(60, 3\)"),
        ((SCORES, TARGETS, DIFFICULT[:9]), r"same shape. Received: .*\(9, 4\)"),
        ((SCORES, 2 * TARGETS - 1.0), "`targets` must be 0 or 1. Received: numbers from -1"),
        ((SCORES, TARGETS & (np.arange(4) > 0)), r"row of every class.*classes \[0\]"),
        ((SCORES, TARGETS, np.arange(4) + 0 * DIFFICULT == 2), r"row of every.*classes \[2\]"),
        ((SCORES, TARGETS, np.where(DIFFICULT, np.nan, 0)), "`difficult` must be finite"),
        ((SCORES, TARGETS, 2 * DIFFICULT), "`difficult` must be 0 or 1. Received: .*to 2"),
        ((SCORES / np.where(TARGETS, 1, np.nan), TARGETS), "`scores` must be finite"),
    ],
)
def test_voc_of_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.voc_mean_average_precision(*arguments)
