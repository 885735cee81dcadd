"""Supervised contrastive learning for Keras 3 on TensorFlow."""

from supcon_tf import augmentation, callbacks, data, distribution, evaluation, metrics, optimizers
from supcon_tf._version import __version__
from supcon_tf.losses import GeneralizedSupConLoss, SupConLoss
from supcon_tf.models import (
    AveragedCrossEntropyModel,
    CrossEntropyModel,
    JointSupConModel,
    LinearClassifier,
    MixingLayer,
    MomentumSupConModel,
    SupConModel,
    encoders,
    projection_head,
)
from supcon_tf.optimizers import LARS

__all__ = [
    "LARS",
    "AveragedCrossEntropyModel",
    "CrossEntropyModel",
    "GeneralizedSupConLoss",
    "JointSupConModel",
    "LinearClassifier",
    "MixingLayer",
    "MomentumSupConModel",
    "SupConLoss",
    "SupConModel",
    "__version__",
    "augmentation",
    "callbacks",
    "data",
    "distribution",
    "encoders",
    "evaluation",
    "metrics",
    "optimizers",
    "projection_head",
]
