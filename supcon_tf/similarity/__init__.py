"""Pure tensor mathematics of the contrastive losses: who is similar to whom, at what cost."""

from supcon_tf.similarity.dense import supcon_dense

__all__ = ["supcon_dense"]
