"""Optimizers and schedules of the papers that Keras does not have."""

from supcon_tf.optimizers.decay import SGD, RMSprop
from supcon_tf.optimizers.lars import LARS
from supcon_tf.optimizers.schedules import WarmUp

__all__ = ["LARS", "SGD", "RMSprop", "WarmUp"]
