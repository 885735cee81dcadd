"""Models that train an encoder, and the projection head."""

from supcon_tf.models.averaged_cross_entropy_model import AveragedCrossEntropyModel
from supcon_tf.models.cross_batch_model import CrossBatchSupConModel
from supcon_tf.models.cross_entropy_model import CrossEntropyModel
from supcon_tf.models.distillation import Distillation
from supcon_tf.models.heads import projection_head
from supcon_tf.models.joint_model import JointSupConModel
from supcon_tf.models.linear_classifier import LinearClassifier
from supcon_tf.models.mixing_layer import MixingLayer
from supcon_tf.models.momentum_model import MomentumSupConModel
from supcon_tf.models.supcon_model import SupConModel

__all__ = [
    "AveragedCrossEntropyModel",
    "CrossBatchSupConModel",
    "CrossEntropyModel",
    "Distillation",
    "JointSupConModel",
    "LinearClassifier",
    "MixingLayer",
    "MomentumSupConModel",
    "SupConModel",
    "projection_head",
]
