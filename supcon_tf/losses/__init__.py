"""Keras losses for contrastive learning."""

from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.losses.supcon import SupConLoss

__all__ = ["GeneralizedSupConLoss", "SupConLoss"]
