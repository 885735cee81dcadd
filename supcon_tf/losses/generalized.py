"""The generalized supervised contrastive loss, for label distributions."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.labels import UNLABELED, are_distributions, to_distributions
from supcon_tf.losses.contrastive import ContrastiveLoss, References
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.losses.temperature import Temperature, value_of
from supcon_tf.similarity.masks import dense_rank, make_anchor_and_contrast_rows, make_rows
from supcon_tf.similarity.row_losses import WEIGHTINGS, generalized_supcon


@keras.saving.register_keras_serializable(package="supcon_tf")
class GeneralizedSupConLoss(ContrastiveLoss):
    r"""Contrastive loss whose targets are the similarities of the labels.

    For the projections $z$ of all views in the batch, each anchor $i$ costs

    $$\ell_i = -\frac{1}{n_i} \sum_{j \in A(i)} w_{ij}
        \log \frac{\exp(z_i \cdot z_j / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)},
        \qquad w_{ij} = \frac{y_i \cdot y_j}{|y_i| |y_j|}$$

    where $A(i)$ are all other rows and $y$ the label rows: one-hot (then this is SupConLoss), mixed
    by MixUp or CutMix, smoothed, multi-hot, or a teacher's probabilities.

    Reference: Kim et al., "Generalized Supervised Contrastive Learning", 2022
    (https://arxiv.org/abs/2206.00384).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> projections = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> loss = supcon_tf.GeneralizedSupConLoss(temperature=1.0)
        >>> labels = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
        >>> round(float(loss(labels, projections)), 4)
        0.5022

    Args:
        temperature: tau, above 0. The softmax over the similarities sharpens as it falls. A number;
            a schedule of the step, such as `keras.optimizers.schedules.PolynomialDecay`, in the
            contrastive models of this library; or a `keras.Variable` that a callback assigns. No
            value needs a new compilation.
        weighting: `"similarity_sum"` for $n_i = \sum_j w_{ij}$, as in the authors' code;
            `"contrast_count"` for $n_i = |A(i)|$, as in the paper's Eq. 2, where anchors that
            resemble many others weigh more.
        anchors: `"all_views"`, or `"first_view"` to take only the first view of each sample as an
            anchor, compared with all views as before.
        base_temperature: `None` leaves the loss as in the equation; a number multiplies it by
            `temperature / base_temperature` (0.07: the authors' code).
        normalize: whether to divide the embeddings by their length first.
        cross_replica: under a strategy with several replicas, whether anchors are compared with the
            rows of all replicas, which gives the loss and the gradient of the global batch, or only
            with those of their own replica. The batch size must then be static, and the same on
            every replica.
        block_size: the largest number of rows and of columns of the similarity matrix that exist at
            the same time, 1024 by default; it changes speed and memory only.
        product_dtype: `"bfloat16"` to round embeddings before they are multiplied, as in
            SupConLoss. `None` multiplies in the dtype of the loss.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"` or
            `None` (one value per sample).
        name: name of the loss.
        dtype: dtype to compute in, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: label distributions `[batch, classes]`, shared by the views, or `[batch, views,
          classes]`: non-negative rows of any scale. A sample whose rows are zero in all views has
          no label: its own other views are its positives. A single zero row among several views has
          no positives, and loss 0.
        - `y_pred`: embeddings of shape `[batch, dim]` (one view) or `[batch, views, dim]`.
        - `sample_weight`: optional `[batch]` weights of the anchors. A weight of 0 removes a sample
          as an anchor, not from the rows that others are compared with.

    Raises:
        ValueError: if an argument, a shape or a label is not as described.
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
        name: str | None = "generalized_supcon_loss",
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

    def _row_labels(self, y_true: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Converts the label distributions of samples or views to those of rows."""
        labels = to_distributions(y_true)
        if labels.shape.rank == 2:
            return tf.repeat(labels, views, axis=0)
        if isinstance(views, int) and not labels.shape[1:2].is_compatible_with([views]):
            raise ValueError(
                "`y_true` of shape [batch, views, classes] must have as many views as `y_pred`. "
                f"Received: y_true.shape={labels.shape}, views={views}"
            )
        return tf.reshape(labels, [-1, labels.shape[-1]])

    def _has_valid_labels(self, y_true: tf.Tensor) -> tf.Tensor:
        """Returns whether the values of label distributions are valid."""
        return are_distributions(y_true)

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
        """Computes the equation for each view of each sample."""
        columns = column_labels = None
        if references is not None:
            z, column_labels, ref_sample_ids, mask = references
            size = tf.shape(rows)[0]
            classes = _classes_of_unlabeled(
                tf.concat([_is_zero(labels), _is_zero(column_labels)], 0),
                dense_rank(tf.concat([sample_ids, ref_sample_ids], 0)),
            )
            anchors, columns = make_anchor_and_contrast_rows(
                rows,
                classes[:size],
                sample_ids,
                z,
                classes[size:],
                ref_sample_ids,
                present=mask,
            )
        elif replica is not None:
            first = replica.replica_id_in_sync_group * rows.shape[0]
            classes = _classes_of_unlabeled(_is_zero(labels), sample_ids, first)
            anchors, columns = gather_rows(rows, classes, sample_ids, replica)
            if _labels_are_less(labels, rows, replica.num_replicas_in_sync):
                column_labels = replica.all_gather(labels, axis=0)
        else:
            classes = _classes_of_unlabeled(_is_zero(labels), sample_ids)
            anchors = make_rows(rows, classes, sample_ids)
        return generalized_supcon(
            anchors,
            labels,
            columns,
            column_labels,
            value_of(self.temperature),
            weighting=self.weighting,
            unit_length=self.normalize,
            block_size=self.block_size,
            product_dtype=self.product_dtype,
            replica=replica,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "weighting": self.weighting}


def _is_zero(labels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(labels == 0, axis=1)


def _classes_of_unlabeled(zero: tf.Tensor, sample_ids: tf.Tensor, first: Any = 0) -> tf.Tensor:
    """Puts each row in a class of its own, from `first` on, but those of unlabeled samples.

    Args:
        zero: `[rows]` booleans: whether the row's label is zero.
        sample_ids: `[rows]` integers below the number of rows, equal for the rows of one sample.
        first: the first class.
    """
    size = tf.shape(zero)[0]
    own_class = first + tf.range(size)
    unlabeled = tf.math.unsorted_segment_min(tf.cast(zero, tf.int32), sample_ids, size)
    return tf.where(tf.gather(unlabeled, sample_ids) > 0, UNLABELED, own_class)


def _labels_are_less(labels: tf.Tensor, rows: tf.Tensor, replicas: int) -> bool:
    """Tells whether everyone's labels are fewer bytes to send than the moments of target.py."""
    label_bytes = replicas * labels.shape[0] * labels.dtype.size
    # Two float64 moments for every class; adding up sends each of them out and back.
    moment_bytes = 2 * 2 * rows.shape[1] * tf.float64.size
    return label_bytes <= moment_bytes
