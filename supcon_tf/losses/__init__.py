"""Keras losses: contrastive learning and baselines of metric learning.

- `SupConLoss`: supervised contrastive loss of class ids.
- `GeneralizedSupConLoss`: supervised contrastive loss of label distributions.
- `PairwiseSupConLoss`: supervised contrastive loss of given weights for pairs of samples.
- `NPairsLoss`, `TripletLoss`, `MaxMarginLoss`: baselines of metric learning.
"""

from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.losses.max_margin import MaxMarginLoss
from supcon_tf.losses.n_pairs import NPairsLoss
from supcon_tf.losses.pairwise import PairwiseSupConLoss
from supcon_tf.losses.supcon import SupConLoss
from supcon_tf.losses.triplet import TripletLoss

__all__ = [
    "GeneralizedSupConLoss",
    "MaxMarginLoss",
    "NPairsLoss",
    "PairwiseSupConLoss",
    "SupConLoss",
    "TripletLoss",
]
