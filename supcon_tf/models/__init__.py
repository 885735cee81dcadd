"""Encoders, projection heads and the models that train them."""

from supcon_tf.models import encoders
from supcon_tf.models.averaged import AveragedCrossEntropyModel
from supcon_tf.models.classifier import CrossEntropyModel, LinearClassifier
from supcon_tf.models.heads import projection_head
from supcon_tf.models.joint import JointSupConModel
from supcon_tf.models.mixing import MixingLayer
from supcon_tf.models.momentum import MomentumSupConModel
from supcon_tf.models.supcon import SupConModel

__all__ = [
    "AveragedCrossEntropyModel",
    "CrossEntropyModel",
    "JointSupConModel",
    "LinearClassifier",
    "MixingLayer",
    "MomentumSupConModel",
    "SupConModel",
    "encoders",
    "projection_head",
]
