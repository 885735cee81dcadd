"""Encoders: images to representations."""

from supcon_tf.models.encoders.efficientnet import efficientnet_v2
from supcon_tf.models.encoders.resnet import resnet

__all__ = ["efficientnet_v2", "resnet"]
