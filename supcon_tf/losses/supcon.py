"""The supervised contrastive loss."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.labels import class_ids
from supcon_tf.similarity.dense import supcon_dense


@keras.saving.register_keras_serializable(package="supcon_tf")
class SupConLoss(ContrastiveLoss):
    r"""Supervised contrastive loss, with the sum over positives outside the logarithm.

    For the projections $z$ of all views in the batch, each anchor $i$ costs

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)}$$

    where $A(i)$ are all other rows and $P(i)$ those of the same class or of the same sample. The
    paper sums over anchors; here, as in both official implementations, a sample's loss is the mean
    over its anchor views and Keras reduces over the batch. An anchor without a positive has loss 0
    and counts in the mean. If all projections are equal the loss is `log(batch * views - 1)`: a
    training that stays at this value has collapsed.

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, Eq. 2
    (https://arxiv.org/abs/2004.11362).

    Example:
        >>> import numpy as np, supcon_tf
        >>> projections = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> loss = supcon_tf.SupConLoss(temperature=1.0)
        >>> round(float(loss(np.array([7, 7, 9]), projections)), 4)
        0.3231

    Args:
        temperature: tau, above 0. The softmax over the similarities sharpens as it falls.
        anchors: `"all_views"`, or `"first_view"` to take only the first view of each sample as an
            anchor, compared with all views as before.
        base_temperature: `None` leaves the loss as in the equation. A number multiplies it by
            `temperature / base_temperature`, which scales the gradient (as a learning rate would)
            and changes nothing else: 1.0 gives the official TensorFlow code with
            `scale_by_temperature`, 0.07 the reference PyTorch code.
        normalize: whether to divide the embeddings by their length first. Set it to `False` only
            if they already have unit length.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"` or
            `None` (one value per sample).
        name: name of the loss.
        dtype: dtype to compute in, Keras's float type (float32) by default.

    Call arguments:
        y_true: labels. Integer class ids of shape `[batch]` or `[batch, 1]`: any integers, of which
            -1 marks a sample without a label, whose only positives are its own other views. Or
            one-hot rows `[batch, classes]` with two or more columns, where an all-zero row has no
            label.
        y_pred: embeddings of shape `[batch, dim]` (one view) or `[batch, views, dim]`.
        sample_weight: optional `[batch]` weights of the anchors. A weight of 0 removes a sample as
            an anchor, not from the rows that others are compared with.

    Raises:
        ValueError: if an argument, a shape or the dtype of the labels is not as described.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        anchors: str = "all_views",
        base_temperature: float | None = None,
        normalize: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "supcon_loss",
        dtype: Any = None,
    ):
        super().__init__(
            temperature,
            anchors=anchors,
            base_temperature=base_temperature,
            normalize=normalize,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def row_losses(
        self, y_true: tf.Tensor, rows: tf.Tensor, batch: tf.Tensor, views: tf.Tensor | int
    ) -> tf.Tensor:
        """Computes Eq. 2 for each view of each sample."""
        ids = tf.repeat(class_ids(y_true), views)
        sample_ids = tf.repeat(tf.range(batch), views)
        return supcon_dense(rows, ids, sample_ids, self.temperature)
