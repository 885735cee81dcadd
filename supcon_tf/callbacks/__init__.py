"""Keras callbacks for long trainings.

- `Checkpoints`: saves all of a training, which goes on at the exact step when started again.
- `CollapseWarning`: warns if all projections have become equal.
"""

from supcon_tf.callbacks.checkpoints import Checkpoints
from supcon_tf.callbacks.collapse_warning import CollapseWarning

__all__ = ["Checkpoints", "CollapseWarning"]
