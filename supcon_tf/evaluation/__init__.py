"""Evaluation of representations and classifiers: functions of arrays.

- Representations: `knn_accuracy` and `knn_predict`, `linear_probe`, `logistic_regression`,
  `retrieval_metrics`, `recall_at_k`, `map_at_r`.
- Search: `Index`, with the results `SearchResult` and `Calibration`.
- Predictions: `mean_per_class_accuracy`, `voc_mean_average_precision`.
- Calibration: `expected_calibration_error`, and `reliability_curve`, which returns a
  `ReliabilityCurve`.
- Inputs that are not like the training data: the scores `knn_ood_scores`,
  `mahalanobis_ood_scores` and `softmax_ood_scores`, and `ood_metrics` of them.
- Robustness: `mean_corruption_error` and `relative_mean_corruption_error`, relative to the errors
  of AlexNet, `ALEXNET_ERRORS` and `ALEXNET_CLEAN_ERROR`.
"""

from supcon_tf.evaluation.calibration import (
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from supcon_tf.evaluation.corruption_errors import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_ERRORS,
    mean_corruption_error,
    relative_mean_corruption_error,
)
from supcon_tf.evaluation.index import Calibration, Index, SearchResult
from supcon_tf.evaluation.knn_classifier import knn_accuracy, knn_predict
from supcon_tf.evaluation.linear import linear_probe, logistic_regression
from supcon_tf.evaluation.out_of_distribution import (
    knn_ood_scores,
    mahalanobis_ood_scores,
    ood_metrics,
    softmax_ood_scores,
)
from supcon_tf.evaluation.per_class import mean_per_class_accuracy, voc_mean_average_precision
from supcon_tf.evaluation.retrieval import map_at_r, recall_at_k, retrieval_metrics

__all__ = [
    "ALEXNET_CLEAN_ERROR",
    "ALEXNET_ERRORS",
    "Calibration",
    "Index",
    "ReliabilityCurve",
    "SearchResult",
    "expected_calibration_error",
    "knn_accuracy",
    "knn_ood_scores",
    "knn_predict",
    "linear_probe",
    "logistic_regression",
    "mahalanobis_ood_scores",
    "map_at_r",
    "mean_corruption_error",
    "mean_per_class_accuracy",
    "ood_metrics",
    "recall_at_k",
    "relative_mean_corruption_error",
    "reliability_curve",
    "retrieval_metrics",
    "softmax_ood_scores",
    "voc_mean_average_precision",
]
