"""The generalized supervised contrastive loss, for label distributions."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.labels import UNLABELED, are_distributions, to_distributions
from supcon_tf.losses.contrastive import ContrastiveLoss, References
from supcon_tf.losses.gathered_rows import gather_rows
from supcon_tf.losses.temperature import Temperature, current_temperature
from supcon_tf.similarity.masks import dense_rank, make_anchor_and_contrast_rows, make_rows
from supcon_tf.similarity.row_losses import WEIGHTINGS, generalized_supcon


@keras.saving.register_keras_serializable(package="supcon_tf")
class GeneralizedSupConLoss(ContrastiveLoss):
    r"""Contrastive loss whose targets are the similarities of label distributions.

    For the projections $z$ of all views in the batch, the loss of anchor $i$ is

    $$\ell_i = -\frac{1}{n_i} \sum_{j \in A(i)} w_{ij}
        \log \frac{\exp(z_i \cdot z_j / \tau)}{\sum_{a \in A(i)} \exp(z_i \cdot z_a / \tau)},
        \qquad w_{ij} = \frac{y_i \cdot y_j}{|y_i| |y_j|}$$

    where every view is a row, $A(i)$ is the set of all other rows, and $y$ are the label
    distributions of the rows: one-hot (the loss then equals SupConLoss), mixed by Mixup or CutMix,
    smoothed, multi-hot, or the probabilities of a teacher.

    The method `contrast` compares a batch with other rows instead, as in SupConLoss.

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
        temperature: tau, above 0; lower values sharpen the softmax over the similarities. A number;
            a schedule of the training step, such as `keras.optimizers.schedules.PolynomialDecay`,
            in the contrastive models of this library; or a `keras.Variable` that a callback
            assigns. A new value never recompiles the training step.
        weighting: `"similarity_sum"` for $n_i = \sum_j w_{ij}$, as in the authors' code;
            `"contrast_count"` for $n_i = |A(i)|$, as in Eq. 2 of the paper, where anchors that are
            similar to many others weigh more.
        anchors: `"all_views"`, or `"first_view"` to use only the first view of each sample as an
            anchor. Anchors are compared with all views in both cases.
        base_temperature: if given, the loss is multiplied by `temperature / base_temperature`. This
            only scales the gradient, as a learning rate would. `None` leaves the loss as in the
            equation. 0.07 reproduces the authors' code.
        normalize: whether to scale the embeddings to unit length first. Set it to `False` only if
            they already have unit length.
        cross_replica: on several replicas, whether to compare anchors with the rows of all
            replicas, which gives the loss and the gradient of the global batch, or only with the
            rows of their own replica. The batch size must be static and equal on all replicas.
        block_size: the largest number of rows and of columns of the similarity matrix in memory at
            the same time; by default 1024 on a CPU or TPU, and 4096 on a GPU. It affects speed and
            memory only.
        product_dtype: `"bfloat16"` to round embeddings to bfloat16 before they are multiplied,
            which is faster on accelerators; SupConLoss lists the measured errors. `None` multiplies
            in the dtype of the loss.
        reduction: `"sum_over_batch_size"`, `"mean"`, `"sum"`, `"mean_with_sample_weight"`, or
            `None` for one loss per sample.
        name: name of the loss.
        dtype: dtype of the computation, Keras's float type (float32) by default.

    Call arguments:
        - `y_true`: label distributions `[batch, classes]`, shared by the views of a sample, or
          `[batch, views, classes]`: non-negative numbers of any scale. A sample whose distributions
          are zero in all views is unlabeled: its only positives are its own other views. If only
          some views of a sample have zero distributions, these views have no positives and loss 0.
        - `y_pred`: embeddings `[batch, dim]` (one view) or `[batch, views, dim]`.
        - `sample_weight`: optional weights `[batch]` or `[batch, 1]` of the anchors, or a scalar. A
          sample of weight 0 is not an anchor, but other anchors are still compared with it.

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
        """Converts label distributions of samples or views to one distribution per row."""
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
        """Computes the loss of every row as an anchor."""
        contrasts = contrast_labels = reference_rows = reference_labels = None
        include_batch = references is not None and references.include_batch
        if references is not None:
            reference_labels = references.labels
            sample_ids_of_references = references.first_sample + sample_ids
            size = tf.shape(rows)[0]
            classes = _classes(
                tf.concat([_is_zero(labels), _is_zero(reference_labels)], 0),
                dense_rank(tf.concat([sample_ids_of_references, references.sample_ids], 0)),
            )
            reference_rows = make_anchor_and_contrast_rows(
                rows,
                classes[:size],
                sample_ids_of_references,
                references.z,
                classes[size:],
                references.sample_ids,
                present=references.mask,
            )
        if reference_rows is not None and not include_batch:
            (anchors, contrasts), reference_rows = reference_rows, None
            contrast_labels = reference_labels
        elif replica is not None:
            first_class = replica.replica_id_in_sync_group * rows.shape[0]
            classes = _classes(_is_zero(labels), sample_ids, first_class)
            anchors, contrasts = gather_rows(rows, classes, sample_ids, replica)
            if _gathering_labels_is_cheaper(labels, rows, replica.num_replicas_in_sync):
                contrast_labels = replica.all_gather(labels, axis=0)
        else:
            anchors = make_rows(rows, _classes(_is_zero(labels), sample_ids), sample_ids)
        return generalized_supcon(
            anchors,
            labels,
            contrasts,
            contrast_labels,
            current_temperature(self.temperature),
            weighting=self.weighting,
            unit_length=self.normalize,
            block_size=self.block_size,
            product_dtype=self.product_dtype,
            replica=replica,
            references=reference_rows,
            reference_label_rows=reference_labels,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {**super().get_config(), "weighting": self.weighting}


def _is_zero(labels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(labels == 0, axis=1)


def _classes(zero: tf.Tensor, sample_ids: tf.Tensor, first_class: Any = 0) -> tf.Tensor:
    """Returns class ids under which only views of the same unlabeled sample are positives.

    The similarities of label distributions weight all other pairs. Every row of a labeled sample
    therefore gets its own class id, and the rows of unlabeled samples get class id -1.

    Args:
        zero: `[rows]` booleans: whether the label distribution of a row is zero.
        sample_ids: `[rows]` integers below the number of rows, equal for the rows of one sample.
        first_class: the class id of the first row.
    """
    size = tf.shape(zero)[0]
    own_class = first_class + tf.range(size)
    unlabeled = tf.math.unsorted_segment_min(tf.cast(zero, tf.int32), sample_ids, size)
    return tf.where(tf.gather(unlabeled, sample_ids) > 0, UNLABELED, own_class)


def _gathering_labels_is_cheaper(labels: tf.Tensor, rows: tf.Tensor, replicas: int) -> bool:
    """Returns whether gathering all labels sends fewer bytes than reducing two moments."""
    label_bytes = replicas * labels.shape[0] * labels.dtype.size
    # The moments of `label_sums`: M and M_q, one float64 number each per class and dimension. An
    # all-reduce sends each number twice.
    moment_bytes = 2 * 2 * rows.shape[1] * tf.float64.size
    return label_bytes <= moment_bytes
