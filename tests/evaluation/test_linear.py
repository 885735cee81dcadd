import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from supcon_tf import evaluation

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(3), [120, 100, 80])
FEATURES = (RNG.normal(size=[3, 5])[LABELS] + RNG.normal(size=[300, 5])).astype("float32")


@pytest.mark.slow
def test_linear_probe_minimizes_the_cross_entropy():
    probe = evaluation.linear_probe(
        FEATURES, LABELS, 3, epochs=20, batch_size=25, learning_rate=0.1
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    actual = float(loss(LABELS, probe.predict(FEATURES, verbose=0)))
    optimum = LogisticRegression(C=1e6).fit(FEATURES, LABELS).predict_proba(FEATURES)
    assert actual == pytest.approx(log_loss(LABELS, optimum), rel=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 2}, "`labels` must be from 0 to 1.*Received: ids from 0 to 2"),
        ({"num_classes": 0}, "`num_classes` must be an integer of at least 1. Received: 0"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1. Received: 0"),
        ({"batch_size": None}, "`batch_size` must be an integer of at least 1. Received: None"),
        ({"labels": LABELS - 1}, "`labels` must not contain -1"),
        ({"learning_rate": np.nan}, "`learning_rate` must be a finite number above 0"),
    ],
)
def test_linear_probe_of_bad_arguments(changes, message):
    arguments = {"features": FEATURES, "labels": LABELS, "num_classes": 3, **changes}
    with pytest.raises(ValueError, match=message):
        evaluation.linear_probe(**arguments)


def test_logistic_regression_selects_on_held_out_rows_and_fits_all_rows():
    """With more columns than rows, most of them noise, the penalty matters."""
    noise = np.random.default_rng(3).normal(size=[300, 400])
    features = np.concatenate([FEATURES, noise], axis=1)
    penalties = [1e-2, 3e1, 1e3, 1e6]
    actual = evaluation.logistic_regression(
        features, LABELS * 2 - 9, penalties=penalties, validation_fraction=0.25, seed=3
    )
    assert actual.best_params_ == {"C": 1 / 3e1}
    truth = LogisticRegression(C=1 / 3e1, max_iter=1000).fit(features, LABELS)
    np.testing.assert_allclose(
        actual.predict_proba(features), truth.predict_proba(features), atol=1e-3
    )
    assert set(actual.predict(features)) <= {-9, -7, -5}
    part, rest = train_test_split(np.arange(300), test_size=0.25, random_state=3, stratify=LABELS)
    scores = [
        LogisticRegression(C=1 / penalty, max_iter=1000)
        .fit(features[part], LABELS[part])
        .score(features[rest], LABELS[rest])
        for penalty in penalties
    ]
    np.testing.assert_allclose(actual.cv_results_["mean_test_score"], scores)
    assert np.argmax(scores) == 1


def test_logistic_regression_of_bad_arguments():
    for penalties in ([], [1.0, 0.0], [-1.0], [1.0, np.nan], [np.inf]):
        with pytest.raises(
            ValueError, match=r"`penalties` must be positive finite numbers. Received: \["
        ):
            evaluation.logistic_regression(FEATURES, LABELS, penalties=penalties)
    for fraction in (0, 1.0, np.nan):
        with pytest.raises(ValueError, match=f"`validation_fraction`.*Received: {fraction}"):
            evaluation.logistic_regression(FEATURES, LABELS, validation_fraction=fraction)
    for labels, found in (
        (0 * LABELS, "1 classes.*300 rows"),
        (LABELS * 0 + (np.arange(300) == 7), "1 rows"),
    ):
        with pytest.raises(
            ValueError, match=f"`labels` must hold at least two classes.*{found} of class"
        ):
            evaluation.logistic_regression(FEATURES, labels)
    with pytest.raises(ValueError, match="`labels` must be integer"):
        evaluation.logistic_regression(FEATURES, LABELS / 2)


def test_logistic_regression_of_two_rows_per_class():
    features = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]])
    labels = np.array([0, 0, 1, 1])
    model = evaluation.logistic_regression(
        features, labels, penalties=(1e-3,), validation_fraction=0.5
    )
    np.testing.assert_array_equal(model.predict(features), labels)
