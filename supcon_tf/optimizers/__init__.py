"""Optimizers of the papers that Keras does not have."""

from supcon_tf.optimizers.lars import LARS

__all__ = ["LARS"]
