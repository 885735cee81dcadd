"""Tensor mathematics of the losses, without Keras.

Inside the package, import from the modules. The names here are those that scripts and tests use.
"""

from supcon_tf.similarity.masks import make_anchor_and_contrast_rows, make_rows
from supcon_tf.similarity.row_losses import generalized_supcon, supcon

__all__ = ["generalized_supcon", "make_anchor_and_contrast_rows", "make_rows", "supcon"]
