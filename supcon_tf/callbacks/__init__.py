"""Keras callbacks for long trainings."""

from supcon_tf.callbacks.checkpoints import Checkpoints
from supcon_tf.callbacks.collapse import CollapseWarning

__all__ = ["Checkpoints", "CollapseWarning"]
