"""Measures representations and predictions."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from supcon_tf import evaluation
from supcon_tf.commands.representations import compute_representations
from supcon_tf.data import ImageSource, evaluation_batches


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


def measure_separation(
    classifier: keras.Model,
    train: ImageSource,
    test: ImageSource,
    others: Mapping[str, ImageSource],
    *,
    k: int,
    batch_size: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measures how well scores separate test images from the images of other data sets.

    Args:
        classifier: a model of this library with an `encoder`, from images to logits.
        train: the images that the classifier was trained on.
        test: test images of the same data set.
        others: the images of other data sets by their names.
        k: rank of the nearest training image whose distance counts.
        batch_size: number of images in a batch.

    Returns:
        The results of `evaluation.ood_metrics` by the name of the other data set and by the name of
        the score: `"knn"`, `"mahalanobis"` and `"softmax"`.
    """
    encoder = classifier.encoder
    train_features = compute_representations(encoder, train, batch_size)

    def scores(images: ImageSource) -> dict[str, np.ndarray]:
        features = compute_representations(encoder, images, batch_size)
        batches = evaluation_batches(images, size=encoder.input_shape[1], batch_size=batch_size)
        return {
            "knn": evaluation.knn_ood_scores(train_features, features, k=k),
            "mahalanobis": evaluation.mahalanobis_ood_scores(
                train_features, train.labels, features
            ),
            "softmax": evaluation.softmax_ood_scores(classifier.predict(batches, verbose=0)),
        }

    in_scores = scores(test)
    separation = {}
    for name, images in others.items():
        out_scores = scores(images)
        separation[name] = {
            score: evaluation.ood_metrics(in_scores[score], out_scores[score])
            for score in in_scores
        }
    return separation
