import math

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from supcon_tf import evaluation
from supcon_tf.evaluation import nearest

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=[5, 16])
TRAIN_LABELS = RNG.integers(0, 5, 300)
LABELS = RNG.integers(0, 5, 90)
TRAIN = (CENTERS[TRAIN_LABELS] + 2 * RNG.normal(size=[300, 16])).astype("float32")
FEATURES = (CENTERS[LABELS] + 2 * RNG.normal(size=[90, 16])).astype("float32")
IDS = np.array([7, -3, 100, 4, 12])  # neither sorted nor contiguous


@pytest.fixture(params=["one tile", "small tiles"])
def tiles(request, monkeypatch):
    if request.param == "small tiles":
        monkeypatch.setattr(nearest, "_TILE_ROWS", 32)
        monkeypatch.setattr(nearest, "_TILE_COLUMNS", 37)


@pytest.mark.gpu
@pytest.mark.parametrize("k", [1, 20, 200, 300])
@pytest.mark.parametrize("temperature", [0.07, 1.0, math.inf])
def test_against_scikit_learn(tiles, k, temperature):
    truth = KNeighborsClassifier(
        k, metric="cosine", weights=lambda distances: np.exp((1 - distances) / temperature)
    ).fit(TRAIN, IDS[TRAIN_LABELS])
    arguments = (TRAIN, IDS[TRAIN_LABELS], FEATURES)
    options = {"k": k, "temperature": temperature}
    predictions = evaluation.knn_predict(*arguments, **options)
    np.testing.assert_array_equal(predictions, truth.predict(FEATURES))
    accuracy = evaluation.knn_accuracy(*arguments, IDS[LABELS], **options)
    assert accuracy == pytest.approx(truth.score(FEATURES, IDS[LABELS]))
    assert 0.2 < accuracy < 1


def test_weights_do_not_overflow():
    """At this temperature the weight of a single vote is exp(1000)."""
    train, labels = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.1]], [3, 5, 5]
    predictions = evaluation.knn_predict(train, labels, [[2.0, 0.0]], k=3, temperature=1e-3)
    assert predictions.tolist() == [3]


@pytest.mark.gpu
def test_the_norm_of_rows_does_not_matter_and_rows_of_zeros_are_valid():
    scaled = TRAIN * RNG.uniform(0.1, 10, [300, 1])  # float64
    expected = evaluation.knn_predict(TRAIN, TRAIN_LABELS, FEATURES, k=9)
    actual = evaluation.knn_predict(scaled, TRAIN_LABELS[:, None], 3 * FEATURES, k=9)
    np.testing.assert_array_equal(actual, expected)
    zeros = evaluation.knn_predict(TRAIN, TRAIN_LABELS, np.zeros([1, 16]), k=300)
    assert zeros.tolist() == [np.bincount(TRAIN_LABELS).argmax()]


@pytest.mark.parametrize(
    ("distance", "expected"),
    # Two votes at this distance equal one at distance 0 at a temperature of 0.0664 or 0.0736.
    [(0.046, 5), (0.051, 3)],
)
def test_default_temperature(distance, expected):
    near = [1 - distance, math.sqrt(1 - (1 - distance) ** 2)]
    arguments = ([[1.0, 0.0], near, near], [3, 5, 5], [[1.0, 0.0]])
    assert evaluation.knn_predict(*arguments, k=3).tolist() == [expected]
    assert evaluation.knn_accuracy(*arguments, [expected], k=3) == 1


def test_default_number_of_neighbors():
    """The nearest 100 rows have one class, the next 100 another, and the smaller id wins a tie."""
    angles = np.linspace(0, 1, 300)
    train = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.repeat([5, 3, 5], 100)
    arguments = (train, labels, [[1.0, 0.0]])
    votes = {"temperature": math.inf}
    predictions = [evaluation.knn_predict(*arguments, k=k, **votes)[0] for k in (199, 200, 201)]
    assert predictions == [5, 3, 5]
    assert evaluation.knn_predict(*arguments, **votes) == [3]
    assert evaluation.knn_accuracy(*arguments, [3], **votes) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "`k` must be an integer of at least 1. Received: 0"),
        ({"k": 2.5}, "`k` must be an integer of at least 1. Received: 2.5"),
        ({"k": 301}, "`k` must be at most 300.*Received: 301"),
        ({"temperature": 0}, "`temperature` must be positive. Received: 0"),
        ({"temperature": math.nan}, "`temperature` must be positive. Received: nan"),
        ({"features": FEATURES[:, :4]}, "as many columns as `train_features`. Received: 4 and 16"),
        ({"features": FEATURES[0]}, r"`features` must be numbers of shape.*shape=\(16,\)"),
        ({"features": FEATURES[:0]}, r"`features` must be numbers of shape.*shape=\(0, 16\)"),
        ({"features": [["a"]]}, "`features` must be numbers"),
        ({"train_features": np.where(TRAIN > 6, np.nan, TRAIN)}, "`train_features` must be finite"),
        ({"train_labels": TRAIN_LABELS[:7]}, r"`train_labels` must be.*300 rows.*shape=\(7,\)"),
        ({"train_labels": TRAIN_LABELS / 2}, "`train_labels` must be integer.*dtype=float64"),
        ({"train_labels": TRAIN_LABELS - 1}, "`train_labels` must not contain -1.*Received: "),
        ({"labels": LABELS[:3]}, r"`labels` must be.*90 rows.*shape=\(3,\)"),
    ],
)
def test_bad_arguments(changes, message):
    arguments = {
        "train_features": TRAIN,
        "train_labels": TRAIN_LABELS,
        "features": FEATURES,
        "labels": LABELS,
    }
    with pytest.raises(ValueError, match=message):
        evaluation.knn_accuracy(**{**arguments, **changes})
