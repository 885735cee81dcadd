"""Supervised contrastive learning for Keras 3 on TensorFlow."""

from supcon_tf._version import __version__
from supcon_tf.losses import GeneralizedSupConLoss, SupConLoss

__all__ = ["GeneralizedSupConLoss", "SupConLoss", "__version__"]
