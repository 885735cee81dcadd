"""Keras callbacks for contrastive training.

- `Checkpoints`: saves the complete training state, from which training resumes at the exact step.
- `CollapseWarning`: warns if all projections have become equal.
- `EvaluateEmbeddings`: logs k-NN accuracy and retrieval metrics of a held-out set.
"""

from supcon_tf.callbacks.checkpoints import Checkpoints
from supcon_tf.callbacks.collapse_warning import CollapseWarning
from supcon_tf.callbacks.evaluate_embeddings import EvaluateEmbeddings

__all__ = ["Checkpoints", "CollapseWarning", "EvaluateEmbeddings"]
