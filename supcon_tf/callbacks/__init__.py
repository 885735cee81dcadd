"""Keras callbacks for contrastive training.

- `Checkpoints`: saves the complete training state, from which training resumes at the exact step.
- `CollapseWarning`: warns if all projections have become equal.
"""

from supcon_tf.callbacks.checkpoints import Checkpoints
from supcon_tf.callbacks.collapse_warning import CollapseWarning

__all__ = ["Checkpoints", "CollapseWarning"]
