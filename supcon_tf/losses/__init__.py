"""Keras losses: contrastive learning, and the baselines of metric learning.

- `SupConLoss`: of class ids; `GeneralizedSupConLoss`: of label distributions.
- `NPairsLoss`, `TripletLoss`, `MaxMarginLoss`: the baselines.
"""

from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.losses.metric_learning import MaxMarginLoss, NPairsLoss, TripletLoss
from supcon_tf.losses.supcon import SupConLoss

__all__ = [
    "GeneralizedSupConLoss",
    "MaxMarginLoss",
    "NPairsLoss",
    "SupConLoss",
    "TripletLoss",
]
