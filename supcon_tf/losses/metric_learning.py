"""The baselines of metric learning: N-pairs, triplets and max-margin pairs."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice, check_positive
from supcon_tf.losses.embedding import EmbeddingLoss
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.similarity.masks import Rows, make_rows
from supcon_tf.similarity.pair_losses import (
    hard_triplets,
    max_margin_pairs,
    n_pairs,
    semi_hard_triplets,
)

_TRIPLETS = {"semi_hard": semi_hard_triplets, "hard": hard_triplets}


class MetricLearningLoss(EmbeddingLoss):
    """Base of the losses over the matrix of all pairs of rows, which is held in memory.

    Subclasses implement `_pair_losses`.
    """

    def _row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of each view of each sample."""
        if replica is None:
            anchors = contrasts = make_rows(rows, labels, sample_ids)
        else:
            anchors, contrasts = gather_rows(rows, labels, sample_ids, replica, differentiable=True)
        return self._pair_losses(anchors, contrasts)

    def _pair_losses(self, anchors: Rows, contrasts: Rows) -> tf.Tensor:
        """Computes the loss of every anchor, which are among the contrasts: `[anchors]`."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="supcon_tf")
class NPairsLoss(MetricLearningLoss):
    r"""N-pairs loss of all rows of a batch, as in tensorflow-addons.

    For the embeddings $z$ of all views in the batch, each of them costs

    $$\ell_i = -\frac{1}{|C(i)|} \sum_{p \in C(i)}
        \log \frac{\exp(z_i \cdot z_p)}{\sum_j \exp(z_i \cdot z_j)}$$

    where $C(i)$ are all rows of its class, itself among them, and j runs over all rows, itself
    among them. A sample's loss is the mean over its views. A row that is alone in its class is
    pushed away from all others; a batch of one row has loss 0.

    With the default reduction this is `tfa.losses.NpairsLoss` of tensorflow-addons, applied to the
    matrix of inner products of the embeddings, which that loss takes instead of them. The "N-pairs"
    of the SupCon paper (57.4 % on ImageNet) is another loss: a row has one positive, of another
    image, and is not compared with itself. For one view and large batches it is
    `SupConLoss(1.0, positives_cap=1)`.

    Memory grows with the square of the number of rows in the (global) batch.

    Reference: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", 2016.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> round(float(supcon_tf.NPairsLoss()(np.array([7, 7, 9]), embeddings)), 4)
        0.8688

    Args:
        normalize: whether to divide the embeddings by their length first.
        cross_replica: under a strategy with several replicas, whether rows are compared with those
            of all replicas, which gives the loss and the gradient of the global batch, or only with
            those of their own replica. Embeddings are then sent forward, and their gradients back.
            The batch size must be static, and the same on every replica.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"` or
            `None` (one value per sample).
        name: name of the loss.
        dtype: dtype to compute in, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: labels, as those of `SupConLoss`: integer class ids `[batch]` or `[batch, 1]`,
          or one-hot rows. A sample without a label (-1, or a row of zeros) is a class of its own:
          positive to nothing but its own other views, and a negative of all other samples.
        - `y_pred`: embeddings of shape `[batch, dim]`, or `[batch, views, dim]`, where every view
          is a row of its own, with the label of its sample.
        - `sample_weight`: optional `[batch]` weights of the samples' losses. A weight of 0 removes
          a sample as an anchor, not from the rows that others are compared with.

    Raises:
        ValueError: if an argument, a shape or the dtype of the labels is not as described.
    """

    def __init__(
        self,
        *,
        normalize: bool = False,
        cross_replica: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "n_pairs_loss",
        dtype: Any = None,
    ):
        super().__init__(
            normalize=normalize,
            cross_replica=cross_replica,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def _pair_losses(self, anchors: Rows, contrasts: Rows) -> tf.Tensor:
        """Computes the equation for every row."""
        return n_pairs(anchors, contrasts)


@keras.saving.register_keras_serializable(package="supcon_tf")
class TripletLoss(MetricLearningLoss):
    r"""Triplet loss with negatives mined in the batch, as in tensorflow-addons.

    With Euclidean distances $d_{ij} = |z_i - z_j|$ between the embeddings of all views in
    the batch, the margin m, the other rows P(i) of the row's class and the rows N(i) of other
    classes, each row costs

    $$\ell_i = c \sum_{p \in P(i)} \max(0, m + d_{ip} - d_{i n(p)})
        \qquad \text{or} \qquad
        \ell_i = \max(0, m + \max_p d_{ip} - \min_n d_{in})$$

    with `mining="semi_hard"` and `"hard"`. Semi-hard: $n(p)$ is the nearest negative that is
    farther away than p or, if there is none, the farthest negative; c is the number of rows divided
    by that of all pairs (i, p), so that the mean over rows is the mean over pairs. Hard: the
    farthest positive and the nearest negative; a row without positives is its own, at distance 0.
    Without negatives, and in semi-hard mining without positives, a row has loss 0. A sample's loss
    is the mean over its views.

    With the default reduction these are `tfa.losses.TripletSemiHardLoss` and
    `tfa.losses.TripletHardLoss` of tensorflow-addons with its default distance (but for rows
    without negatives). The SupCon paper trains with no triplet loss.

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
        margin: m, above 0, in distance; unit rows are at most 2 apart.
        normalize: whether to divide the embeddings by their length first. Both papers do, and the
            default margin is meant for it.
        cross_replica: as that of `NPairsLoss`.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"` or
            `None` (one value per sample).
        name: name of the loss.
        dtype: dtype to compute in, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: labels, as those of `NPairsLoss`.
        - `y_pred`: embeddings of shape `[batch, dim]` or `[batch, views, dim]`, as for
          `NPairsLoss`.
        - `sample_weight`: optional `[batch]` weights of the samples' losses.

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
        """Computes the equation of the mining for every row."""
        return _TRIPLETS[self.mining](anchors, contrasts, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "mining": self.mining, "margin": self.margin}


@keras.saving.register_keras_serializable(package="supcon_tf")
class MaxMarginLoss(MetricLearningLoss):
    r"""Max-margin (contrastive) loss of all pairs of rows in a batch, as in tensorflow-addons.

    With Euclidean distances $d_{ij} = |z_i - z_j|$ between the embeddings of all views in the batch
    and the margin m, each row costs the mean over the other rows j of

    $$d_{ij}^2 \text{ if j is of the same class,} \qquad \max(0, m - d_{ij})^2 \text{ if not,}$$

    and a sample the mean over its views, so that the mean over samples is that over all pairs. A
    batch of one row has loss 0.

    With the default reduction this is `tfa.losses.ContrastiveLoss` of tensorflow-addons for all
    pairs of the batch; that loss takes their distances instead of embeddings.
    `supcon_tf.similarity.max_margin` computes it for pairs of one's own choice.

    It is **not** what the SupCon paper compares with as "Max-Margin": that column of its Table 2
    (92.4 % on CIFAR-10, 70.5 % on CIFAR-100, 78.0 % on ImageNet) quotes published results of
    "max-margin classifiers" and cites the large-margin softmax (Liu et al., "Large-Margin Softmax
    Loss for Convolutional Neural Networks", 2016, https://arxiv.org/abs/1612.02295), which has no
    pairs. Results with this loss do not belong in that column.

    Memory grows with the square of the number of rows in the (global) batch.

    Reference: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", 2006.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> round(float(supcon_tf.MaxMarginLoss()(np.array([7, 7, 9]), embeddings)), 4)
        0.3085

    Args:
        margin: m, above 0, in distance; unit rows are at most 2 apart.
        normalize: whether to divide the embeddings by their length first.
        cross_replica: as that of `NPairsLoss`.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"` or
            `None` (one value per sample).
        name: name of the loss.
        dtype: dtype to compute in, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: labels, as those of `NPairsLoss`.
        - `y_pred`: embeddings of shape `[batch, dim]` or `[batch, views, dim]`, as for
          `NPairsLoss`.
        - `sample_weight`: optional `[batch]` weights of the samples' losses.

    Raises:
        ValueError: if an argument, a shape or the dtype of the labels is not as described.
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        normalize: bool = False,
        cross_replica: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "max_margin_loss",
        dtype: Any = None,
    ):
        super().__init__(
            normalize=normalize,
            cross_replica=cross_replica,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.margin = check_positive("margin", margin)

    def _pair_losses(self, anchors: Rows, contrasts: Rows) -> tf.Tensor:
        """Computes the mean over its pairs for every row."""
        return max_margin_pairs(anchors, contrasts, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "margin": self.margin}
