"""Measures representations and predictions."""

import numpy as np
import tensorflow as tf

from supcon_tf import evaluation


def measure_representations(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    *,
    k: int,
    temperature: float,
) -> dict[str, float]:
    """Measures how well representations separate the classes.

    Args:
        train: `[train images, dim]` representations.
        train_labels: `[train images]` class ids.
        test: `[test images, dim]` representations.
        test_labels: `[test images]` class ids.
        k: number of neighbors in k-NN.
        temperature: temperature of the votes in k-NN.

    Returns:
        The test accuracy of k-NN and of logistic regression, and the retrieval metrics of the test
        images.
    """
    regression = evaluation.logistic_regression(train, train_labels)
    return {
        "knn_accuracy": evaluation.knn_accuracy(
            train, train_labels, test, test_labels, k=k, temperature=temperature
        ),
        "logistic_regression_accuracy": regression.score(test, test_labels),
        "logistic_regression_penalty": 1 / regression.best_params_["C"],
        "recall_at_1": evaluation.recall_at_k(test, test_labels),
        "map_at_r": evaluation.map_at_r(test, test_labels),
    }


def measure_predictions(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Measures the accuracy and the calibration of predictions.

    Args:
        logits: `[images, classes]`.
        labels: `[images]` class ids.
    """
    predictions = np.argmax(logits, axis=1)
    return {
        "accuracy": float(np.mean(predictions == labels)),
        "mean_per_class_accuracy": evaluation.mean_per_class_accuracy(predictions, labels),
        "expected_calibration_error": evaluation.expected_calibration_error(
            tf.nn.softmax(logits), labels
        ),
    }
