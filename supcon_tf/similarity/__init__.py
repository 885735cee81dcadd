"""Pure tensor mathematics of the losses: who is similar to whom, at what cost."""

from supcon_tf.similarity.masks import Rows, make_anchor_and_contrast_rows, make_rows
from supcon_tf.similarity.pair_losses import max_margin
from supcon_tf.similarity.row_losses import generalized_supcon, supcon

__all__ = [
    "Rows",
    "make_anchor_and_contrast_rows",
    "make_rows",
    "generalized_supcon",
    "max_margin",
    "supcon",
]
