"""Encoders: images to representations."""

from supcon_tf.models.encoders.resnet import resnet

__all__ = ["resnet"]
