"""The N-pairs loss."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf.losses.metric_learning import MetricLearningLoss
from supcon_tf.similarity.masks import Rows
from supcon_tf.similarity.pair_losses import n_pairs


@keras.saving.register_keras_serializable(package="supcon_tf")
class NPairsLoss(MetricLearningLoss):
    r"""N-pairs loss of all rows of a batch, as in tensorflow-addons.

    For the embeddings $z$ of all views in the batch, the loss of row $i$ is

    $$\ell_i = -\frac{1}{|C(i)|} \sum_{p \in C(i)}
        \log \frac{\exp(z_i \cdot z_p)}{\sum_j \exp(z_i \cdot z_j)}$$

    where $C(i)$ is the set of all rows of the class of $i$, and $j$ runs over all rows. Both
    include $i$ itself. The loss of a sample is the mean over its views. A row that is alone in its
    class is pushed away from all others. A batch of one row has loss 0.

    With the default reduction this is `tfa.losses.NpairsLoss` of tensorflow-addons, which takes the
    matrix of inner products instead of the embeddings. The "N-pairs" loss of the SupCon paper
    (57.4 % on ImageNet) is a different one: a row has one positive, from another image, and is not
    compared with itself. For one view and large batches that loss is
    `SupConLoss(1.0, positives_cap=1)`.

    Memory grows with the square of the number of rows in the (global) batch.

    Reference: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", 2016.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> round(float(supcon_tf.NPairsLoss()(np.array([7, 7, 9]), embeddings)), 4)
        0.8688

    Args:
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
        """Computes the loss of every anchor."""
        return n_pairs(anchors, contrasts)
