"""Pure tensor mathematics of the losses: who is similar to whom, at what cost."""

from supcon_tf.similarity.losses import generalized_supcon, supcon
from supcon_tf.similarity.pairs import max_margin
from supcon_tf.similarity.rows import Rows, describe, describe_square

__all__ = ["Rows", "describe", "describe_square", "generalized_supcon", "max_margin", "supcon"]
