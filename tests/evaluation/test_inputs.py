"""The numbers that every evaluation function accepts or rejects."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import evaluation

LABELS = np.arange(60) % 3
# Multiples of 1/4 up to 4, which are exact in all dtypes below.
FEATURES = np.random.default_rng(0).integers(-16, 17, [60, 5]) / 4 + 2 * np.eye(5)[LABELS]
HALVES = np.array([[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.25, 0.75]])[LABELS]

FUNCTIONS = {
    "knn_predict": lambda rows: evaluation.knn_predict(rows, LABELS, rows, k=9),
    "knn_accuracy": lambda rows: evaluation.knn_accuracy(rows, LABELS, rows, LABELS, k=9),
    "recall_at_k": lambda rows: evaluation.recall_at_k(rows, LABELS),
    "map_at_r": lambda rows: evaluation.map_at_r(rows, LABELS),
    "linear_probe": lambda rows: (
        evaluation.linear_probe(rows, LABELS, 3, epochs=1).layers[0].bias.shape
    ),
    "logistic_regression": lambda rows: evaluation.logistic_regression(
        rows, LABELS, penalties=[1.0]
    ).predict(FEATURES),
    "voc_mean_average_precision": lambda rows: evaluation.voc_mean_average_precision(
        rows[:, :3], np.eye(3)[LABELS]
    ),
    "reliability_curve": lambda rows: evaluation.reliability_curve(rows, LABELS),
    "expected_calibration_error": lambda rows: evaluation.expected_calibration_error(rows, LABELS),
}


class ForeignTensor:
    """A tensor with only the methods that NumPy needs."""

    def __init__(self, values):
        self._values = values

    def __getitem__(self, key):
        return ForeignTensor(self._values[key])

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype)


KINDS = {
    "bfloat16": lambda rows: rows.astype(ml_dtypes.bfloat16),
    "bfloat16 tensor": lambda rows: tf.cast(rows, tf.bfloat16),
    "bfloat16 variable": lambda rows: keras.Variable(rows, dtype="bfloat16"),
    "float16": lambda rows: rows.astype(np.float16),
    "float32 tensor": lambda rows: tf.cast(rows, tf.float32),
    "another library": ForeignTensor,
}


def rows_of(name):
    return HALVES if name in ("reliability_curve", "expected_calibration_error") else FEATURES


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_of_any_type(name, kind):
    rows, function = rows_of(name), FUNCTIONS[name]
    for actual, expected in zip(
        np.atleast_1d(function(KINDS[kind](rows))), np.atleast_1d(function(rows)), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_must_be_real_and_finite(name):
    rows, function = rows_of(name), FUNCTIONS[name]
    for value in (np.nan, np.inf, -np.inf):
        broken = rows.astype(ml_dtypes.bfloat16)
        broken[7, 1] = value
        with pytest.raises(ValueError, match="must be finite. Received: NaN or inf.* in 1 of 60"):
            function(broken)
    with pytest.raises(ValueError, match="must be numbers.*dtype=complex128"):
        function(rows + 0j)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("name", ["knn_predict", "recall_at_k", "map_at_r"])
def test_similarities_do_not_depend_on_the_norm(name, scale):
    """Squares in float32, or the numbers in float32, overflow or underflow at these scales."""
    np.testing.assert_array_equal(FUNCTIONS[name](scale * FEATURES), FUNCTIONS[name](FEATURES))
