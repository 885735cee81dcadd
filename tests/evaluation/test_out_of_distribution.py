import numpy as np
import pytest
from sklearn import covariance, metrics

from supcon_tf import evaluation
from supcon_tf.evaluation import out_of_distribution, unit_length

RNG = np.random.default_rng(0)
LABELS = 3 * (np.arange(40) % 4)
TRAIN = 3 * RNG.normal(size=[12, 6])[LABELS] + RNG.normal(size=[40, 6])
ROWS = 3 * RNG.normal(size=[25, 6])


@pytest.fixture(params=["one block", "small blocks"], autouse=True)
def blocks(request, monkeypatch):
    if request.param == "small blocks":
        monkeypatch.setattr(out_of_distribution, "_BLOCK_ROWS", 7)
        monkeypatch.setattr(unit_length, "_BLOCK_ROWS", 3)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_knn(k):
    unit, unit_rows = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (TRAIN, ROWS))
    distances = np.linalg.norm(unit_rows[:, None] - unit, axis=2)
    expected = -np.sort(distances, axis=1)[:, k - 1]
    np.testing.assert_allclose(evaluation.knn_ood_scores(TRAIN, ROWS, k=k), expected, rtol=1e-9)


def test_small_distances_to_neighbors_are_not_lost():
    near = TRAIN + 1e-6 * RNG.normal(size=TRAIN.shape)
    unit, unit_near = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (TRAIN, near))
    expected = -np.linalg.norm(unit - unit_near, axis=1)
    np.testing.assert_allclose(evaluation.knn_ood_scores(TRAIN, near, k=1), expected, rtol=1e-6)


def test_mahalanobis():
    means = np.stack([TRAIN[label == LABELS].mean(axis=0) for label in (0, 3, 6, 9)])
    deviations = TRAIN - means[LABELS // 3]
    shared = covariance.EmpiricalCovariance(assume_centered=True).fit(deviations)
    expected = -np.min([shared.mahalanobis(ROWS - mean) for mean in means], axis=0)
    actual = evaluation.mahalanobis_ood_scores(TRAIN, LABELS[:, None], ROWS)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_mahalanobis_ignores_directions_without_variance():
    """A copied column adds no information, and a constant one has no variance."""
    wide = [np.column_stack([rows, rows[:, 0], np.ones(len(rows))]) for rows in (TRAIN, ROWS)]
    actual = evaluation.mahalanobis_ood_scores(wide[0], LABELS, wide[1])
    expected = evaluation.mahalanobis_ood_scores(TRAIN, LABELS, ROWS)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_mahalanobis_far_from_the_origin():
    far = evaluation.mahalanobis_ood_scores(TRAIN + 1e6, LABELS, ROWS + 1e6)
    expected = evaluation.mahalanobis_ood_scores(TRAIN, LABELS, ROWS)
    np.testing.assert_allclose(far, expected, rtol=1e-6)


def test_softmax():
    logits = 5 * RNG.normal(size=[20, 4])
    expected = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(evaluation.softmax_ood_scores(logits), expected)
    large = np.array([[1000, 980], [1000, 0]], "float32")
    np.testing.assert_allclose(1 - evaluation.softmax_ood_scores(large), [np.exp(-20), 0], 1e-6)


@pytest.mark.parametrize("rows", [(1, 1), (19, 30), (20, 7), (211, 150)])
@pytest.mark.parametrize("decimals", [0, 12])  # 0: many scores are equal
def test_metrics_equal_those_of_scikit_learn(rows, decimals):
    rng = np.random.default_rng(1)
    inside, outside = rng.normal(1, size=rows[0]), rng.normal(size=rows[1])
    inside, outside = inside.round(decimals), outside.round(decimals)
    is_in, scores = np.repeat([1, 0], rows), np.concatenate([inside, outside])
    false, true, _ = metrics.roc_curve(is_in, scores, drop_intermediate=False)
    assert evaluation.ood_metrics(inside, outside) == pytest.approx(
        {
            "auroc": metrics.roc_auc_score(is_in, scores),
            "aupr_in": metrics.average_precision_score(is_in, scores),
            "aupr_out": metrics.average_precision_score(1 - is_in, -scores),
            "fpr95": false[true >= 0.95 - 1e-12][0],
        }
    )


def test_bad_arguments():
    for call, message in (
        (lambda: evaluation.knn_ood_scores(TRAIN, ROWS, k=41), "`k` must be at most 40"),
        (lambda: evaluation.knn_ood_scores(TRAIN, ROWS[:, :2]), "as many columns.*2 and 6"),
        (
            lambda: evaluation.mahalanobis_ood_scores(TRAIN, LABELS[:3], ROWS),
            "`train_labels` must be integer class ids",
        ),
        (
            lambda: evaluation.mahalanobis_ood_scores(TRAIN, LABELS, ROWS[:, :2]),
            "as many columns.*2 and 6",
        ),
        (lambda: evaluation.softmax_ood_scores([1.0]), "`logits` must be numbers"),
        (lambda: evaluation.ood_metrics([[1.0]], [0.0]), "`in_scores` must have the shape"),
        (lambda: evaluation.ood_metrics([1.0], []), "`out_scores` must be numbers"),
        (lambda: evaluation.ood_metrics([np.nan], [0.0]), "`in_scores` must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
