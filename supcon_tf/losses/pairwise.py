"""The supervised contrastive loss with a given weight for each pair of samples."""

from typing import Any, NoReturn

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.labels import require_numbers
from supcon_tf.losses.contrastive import ContrastiveLoss, References
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.losses.temperature import Temperature, current_temperature
from supcon_tf.similarity.masks import make_rows
from supcon_tf.similarity.pair_weights import are_pair_weights
from supcon_tf.similarity.row_losses import WEIGHTINGS, pairwise_supcon


@keras.saving.register_keras_serializable(package="supcon_tf")
class PairwiseSupConLoss(ContrastiveLoss):
    r"""Contrastive loss whose targets are given for each pair of samples.

    For the projections $z$ of all views in the batch, the loss of the view $a$ of sample $i$ is

    $$\ell_{ia} = -\frac{1}{n_i} \sum_{(j, b) \ne (i, a)} w_{ij}
        \log \frac{\exp(z_{ia} \cdot z_{jb} / \tau)}
            {\sum_{(k, c) \ne (i, a)} \exp(z_{ia} \cdot z_{kc} / \tau)}$$

    with the given weights $w_{ij} \ge 0$: 1 for positives and 0 for others, or any similarity of
    samples. They need not be symmetric. The diagonal holds the weights between the views of the
    same sample, and is usually 1. With $w_{ij} = [y_i = y_j]$ the loss equals SupConLoss, and with
    the cosines of label distributions it equals GeneralizedSupConLoss. These losses need no matrix
    of pairs: prefer them for classes and distributions, and for hierarchies of classes
    `supcon_tf.data.class_tree`.

    The columns have the order of the samples of the batch. Shuffle samples before their weights are
    computed, and pass `shuffle=False` to `fit` for arrays.

    Masks are the argument `mask` of the authors' PyTorch code. A sample whose weights are all 0 has
    loss 0. The weights are the only matrix of pairs of samples in memory.

    Reference: Khosla et al., 2020, Eq. 2 (https://arxiv.org/abs/2004.11362), and Kim et al., 2022,
    Eq. 2 (https://arxiv.org/abs/2206.00384), with other weights.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> projections = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> weights = np.array([[1.0, 1.0, 0.0], [0.5, 1.0, 0.5], [0.0, 0.0, 1.0]])
        >>> loss = supcon_tf.PairwiseSupConLoss(temperature=1.0)
        >>> round(float(loss(weights, projections)), 4)
        0.3564

    Args:
        temperature: as in SupConLoss.
        weighting: `"similarity_sum"` to divide by the sum of the weights of an anchor,
            $n_i = \sum_{(j, b)} w_{ij}$; `"contrast_count"` to divide by the number of other views.
        anchors: as in SupConLoss.
        base_temperature: as in SupConLoss.
        normalize: as in SupConLoss.
        cross_replica: as in SupConLoss.
        block_size: as in SupConLoss.
        product_dtype: as in SupConLoss.
        reduction: as in SupConLoss.
        name: name of the loss.
        dtype: dtype of the computation, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: weights `[batch, batch]`, numbers or booleans: row i holds the weights of all
          samples for sample i. On several replicas, each replica passes the rows of its samples,
          `[batch, global batch]`, unless `cross_replica` is false.
        - `y_pred`: embeddings `[batch, dim]` (one view) or `[batch, views, dim]`.
        - `sample_weight`: optional weights `[batch]` or `[batch, 1]` of the anchors, or a scalar.

    Raises:
        ValueError: if an argument, a shape or a dtype is not as described. If weights are negative
            or not finite, the loss is NaN.
    """

    def __init__(
        self,
        temperature: Temperature = 0.1,
        *,
        weighting: str = "similarity_sum",
        anchors: str = "all_views",
        base_temperature: float | None = None,
        normalize: bool = True,
        cross_replica: bool = True,
        block_size: int | None = None,
        product_dtype: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "pairwise_supcon_loss",
        dtype: Any = None,
    ):
        super().__init__(
            temperature,
            anchors=anchors,
            base_temperature=base_temperature,
            normalize=normalize,
            cross_replica=cross_replica,
            block_size=block_size,
            product_dtype=product_dtype,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.weighting = check_choice("weighting", weighting, WEIGHTINGS)

    def contrast(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises an error: the weights are those of pairs within a batch.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "PairwiseSupConLoss compares the samples of a batch only. Use SupConLoss or "
            "GeneralizedSupConLoss to compare them with other rows."
        )

    def _row_labels(self, y_true: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Returns the weights, which are those of samples and not of rows."""
        if y_true.shape.rank != 2:
            raise ValueError(
                "`y_true` must hold weights of pairs, of shape [batch, batch]. For class ids, use "
                f"SupConLoss. Received: shape={y_true.shape}"
            )
        require_numbers(y_true)
        return y_true

    def _has_valid_labels(self, y_true: tf.Tensor) -> tf.Tensor:
        """Returns whether the weights are finite and not negative."""
        return are_pair_weights(y_true)

    def _row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        references: References | None = None,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row as an anchor."""
        replicas = 1 if replica is None else replica.num_replicas_in_sync
        batch, samples = labels.shape
        if None not in (batch, samples) and samples != replicas * batch:
            raise ValueError(
                "`y_true` must hold the weights of all samples of the global batch: shape "
                f"[{batch}, {replicas * batch}] on each of {replicas} replicas. "
                f"Received: shape={labels.shape}"
            )
        no_classes, contrasts = tf.zeros_like(sample_ids), None
        if replica is not None:
            anchors, contrasts = gather_rows(rows, no_classes, sample_ids, replica)
        else:
            anchors = make_rows(rows, no_classes, sample_ids)
        return pairwise_supcon(
            anchors,
            labels,
            contrasts,
            views,
            current_temperature(self.temperature),
            weighting=self.weighting,
            unit_length=self.normalize,
            block_size=self.block_size,
            product_dtype=self.product_dtype,
            replica=replica,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "weighting": self.weighting}
