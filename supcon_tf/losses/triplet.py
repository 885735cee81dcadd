"""The triplet loss with mining in the batch."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice, check_positive
from supcon_tf.losses.metric_learning import MetricLearningLoss
from supcon_tf.similarity.masks import Rows
from supcon_tf.similarity.pair_losses import hard_triplets, semi_hard_triplets

_TRIPLETS = {"semi_hard": semi_hard_triplets, "hard": hard_triplets}


@keras.saving.register_keras_serializable(package="supcon_tf")
class TripletLoss(MetricLearningLoss):
    r"""Triplet loss with negatives mined in the batch, as in tensorflow-addons.

    With the Euclidean distances $d_{ij} = |z_i - z_j|$ between the embeddings of all views in the
    batch, the margin $m$, the other rows $P(i)$ of the same class and the rows $N(i)$ of other
    classes, the loss of row $i$ is

    $$\ell_i = c \sum_{p \in P(i)} \max(0, m + d_{ip} - d_{i n(p)})
        \qquad \text{or} \qquad
        \ell_i = \max(0, m + \max_{p \in P(i)} d_{ip} - \min_{n \in N(i)} d_{in})$$

    The first equation is `mining="semi_hard"`, the second `mining="hard"`. The loss of a sample is
    the mean over its views.

    Semi-hard mining: $n(p)$ is the nearest negative that is farther away than $p$, or the farthest
    negative if none is farther away than $p$. The factor $c$ is the number of rows divided by the
    number of pairs $(i, p)$, so that the mean over rows equals the mean over pairs. A row without
    positives or without negatives has loss 0.

    Hard mining: the triplet holds the farthest positive and the nearest negative. The positive of a
    row without positives is the row itself, at distance 0. A row without negatives has loss 0.

    With the default reduction these are `tfa.losses.TripletSemiHardLoss` and
    `tfa.losses.TripletHardLoss` of tensorflow-addons with its default distance, except for rows
    without negatives. The SupCon paper does not train with a triplet loss.

    Memory grows with the square of the number of rows in the (global) batch.

    References: Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    2015 (https://arxiv.org/abs/1503.03832); Hermans et al., "In Defense of the Triplet Loss for
    Person Re-Identification", 2017 (https://arxiv.org/abs/1703.07737).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> labels = np.array([7, 7, 9])
        >>> round(float(supcon_tf.TripletLoss()(labels, embeddings)), 4)
        0.4781
        >>> round(float(supcon_tf.TripletLoss("hard")(labels, embeddings)), 4)
        0.3539

    Args:
        mining: `"semi_hard"` or `"hard"`.
        margin: m, above 0, a distance; rows of unit length are at most 2 apart.
        normalize: whether to scale the embeddings to unit length first. Both papers do, and the
            default margin is meant for unit length.
        cross_replica: on several replicas, whether to compare anchors with the rows of all
            replicas, which gives the loss and the gradient of the global batch, or only with the
            rows of their own replica. The batch size must be static and equal on all replicas. The
            forward pass exchanges the embeddings, and the backward pass their gradients.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"`, or
            `None` for one loss per sample.
        name: name of the loss.
        dtype: dtype of the computation, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: labels. Integer class ids `[batch]` or `[batch, 1]`, -1 for an unlabeled sample;
          or one-hot rows `[batch, classes]` with two or more columns, all zero for an unlabeled
          sample. An unlabeled sample is a class of its own: its only positives are its own other
          views, and it is a negative of all other samples.
        - `y_pred`: embeddings `[batch, dim]` (one view) or `[batch, views, dim]`. Every view is a
          row with the label of its sample.
        - `sample_weight`: optional weights `[batch]` or `[batch, 1]` of the anchors, or a scalar. A
          sample of weight 0 is not an anchor, but other anchors are still compared with it.

    Raises:
        ValueError: if an argument, a shape or the dtype of the labels is not as described.
    """

    def __init__(
        self,
        mining: str = "semi_hard",
        margin: float = 1.0,
        *,
        normalize: bool = False,
        cross_replica: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "triplet_loss",
        dtype: Any = None,
    ):
        super().__init__(
            normalize=normalize,
            cross_replica=cross_replica,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.mining = check_choice("mining", mining, tuple(_TRIPLETS))
        self.margin = check_positive("margin", margin)

    def _pair_losses(self, anchors: Rows, contrasts: Rows) -> tf.Tensor:
        """Computes the loss of every anchor with the selected mining."""
        return _TRIPLETS[self.mining](anchors, contrasts, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "mining": self.mining, "margin": self.margin}
