"""The max-margin loss of pairs."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_positive
from supcon_tf.losses.metric_learning import MetricLearningLoss
from supcon_tf.similarity.masks import Rows
from supcon_tf.similarity.pair_losses import max_margin_pairs


@keras.saving.register_keras_serializable(package="supcon_tf")
class MaxMarginLoss(MetricLearningLoss):
    r"""Max-margin (contrastive) loss of all pairs of rows in a batch, as in tensorflow-addons.

    With the Euclidean distances $d_{ij} = |z_i - z_j|$ between the embeddings of all views in the
    batch and the margin $m$, the loss of row $i$ is the mean over all other rows $j$ of

    $$d_{ij}^2 \text{ for the same class,} \qquad \max(0, m - d_{ij})^2 \text{ for another class.}$$

    The loss of a sample is the mean over its views, so that the mean over samples is the mean over
    all pairs. A batch of one row has loss 0.

    With the default reduction this is `tfa.losses.ContrastiveLoss` of tensorflow-addons for all
    pairs of the batch; that loss takes distances instead of embeddings.

    This is **not** the "Max-Margin" of the SupCon paper. That column of its Table 2 (92.4 % on
    CIFAR-10, 70.5 % on CIFAR-100, 78.0 % on ImageNet) quotes published results of "max-margin
    classifiers" and cites the large-margin softmax (Liu et al., "Large-Margin Softmax Loss for
    Convolutional Neural Networks", 2016, https://arxiv.org/abs/1612.02295), which does not compare
    pairs. Do not compare results of this loss with that column.

    Memory grows with the square of the number of rows in the (global) batch.

    Reference: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", 2006.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> round(float(supcon_tf.MaxMarginLoss()(np.array([7, 7, 9]), embeddings)), 4)
        0.3085

    Args:
        margin: m, above 0, a distance; rows of unit length are at most 2 apart.
        normalize: whether to scale the embeddings to unit length first.
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
        """Computes the loss of every anchor: the mean over its pairs."""
        return max_margin_pairs(anchors, contrasts, self.margin)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "margin": self.margin}
