"""Base class of the contrastive losses: temperature, anchors and references."""

from typing import Any, NamedTuple

import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer, check_positive
from supcon_tf.distribution.replicas import replica_context
from supcon_tf.losses.embedding import EmbeddingLoss, are_finite, nan_unless
from supcon_tf.losses.temperature import (
    Temperature,
    check_temperature,
    current_temperature,
    deserialize_temperature,
    serialize_temperature,
    temperature_variables,
)

# Which views of a sample are anchors. All views are always contrasts.
ANCHORS = ("all_views", "first_view")


class References(NamedTuple):
    """Rows that anchors are compared with in `contrast`, none of which is an anchor.

    Attributes:
        z: `[refs, dim]` embeddings.
        labels: their labels, from `_row_labels`.
        sample_ids: `[refs]` int32, equal to the sample id of an anchor for a view of its sample.
        mask: `[refs]` booleans, false for rows to ignore; `None` to use all rows.
        first_sample: the sample id of the first anchor.
        include_batch: whether anchors are also compared with the other rows of the batch.
    """

    z: tf.Tensor
    labels: tf.Tensor
    sample_ids: tf.Tensor
    mask: tf.Tensor | None
    first_sample: int | tf.Tensor
    include_batch: bool


class ContrastiveLoss(EmbeddingLoss):
    """Base class of losses that apply a softmax to similarities.

    Calling the loss compares the rows of a batch with each other. `contrast` compares them with
    reference rows instead, such as the rows of a queue.
    """

    def __init__(
        self,
        temperature: Temperature,
        *,
        anchors: str,
        base_temperature: float | None,
        normalize: bool,
        cross_replica: bool,
        block_size: int | None,
        product_dtype: str | None,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ):
        super().__init__(
            normalize=normalize,
            cross_replica=cross_replica,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.temperature = check_temperature(temperature)
        self.anchors = check_choice("anchors", anchors, ANCHORS)
        self.base_temperature = (
            None
            if base_temperature is None
            else check_positive("base_temperature", base_temperature)
        )
        self.block_size = None if block_size is None else check_integer("block_size", block_size)
        self.product_dtype = check_choice("product_dtype", product_dtype, (None, "bfloat16"))
        # The number of views in the last batch. `CollapseWarning` reads it.
        self.num_views: int | None = None

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that the loss reads: the temperature, if it is a variable."""
        return temperature_variables(self.temperature)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its anchor views: shape `[batch]`."""
        self.num_views = y_pred.shape[1] if y_pred.shape.rank == 3 else 1
        return super().call(y_true, y_pred)

    def contrast(
        self,
        embeddings: Any,
        labels: Any,
        ref_embeddings: Any,
        ref_labels: Any,
        *,
        ref_sample_ids: Any = None,
        ref_mask: Any = None,
        include_batch: bool = False,
        sample_weight: Any = None,
    ) -> tf.Tensor:
        """Computes the reduced loss of anchors that are compared with reference rows.

        References are rows outside the batch, such as the keys of a momentum encoder or a queue of
        earlier embeddings. The gradient reaches `embeddings` and `ref_embeddings`; wrap references
        without a gradient in `tf.stop_gradient`. On several replicas `embeddings` holds this
        replica's share of the global batch, and references are not gathered: pass all of them on
        every replica.

        Examples:
            >>> import numpy as np, supcon_tf
            >>> loss = supcon_tf.SupConLoss(temperature=1.0)
            >>> embeddings, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([7, 9])
            >>> queue = np.array([[0.8, 0.6], [0.6, 0.8], [-1.0, 0.0]])
            >>> queue_labels = np.array([7, 9, 9])
            >>> round(float(loss.contrast(embeddings, labels, queue, queue_labels)), 4)
            0.952

        Args:
            embeddings: anchors, `[batch, dim]` or `[batch, views, dim]`.
            labels: labels of the anchors, in any form that the loss accepts as `y_true`.
            ref_embeddings: `[refs, dim]` embeddings of the references.
            ref_labels: labels of the references, one per reference, in the same form as `labels`.
            ref_sample_ids: `[refs]` integers: for a reference that is another view of a sample of
                the batch, the index of this sample in the global batch, and -1 for other
                references. The views of a sample are always positives of each other. `None` means
                -1 for all.
            ref_mask: `[refs]` booleans: false for references to ignore, such as the empty part of a
                queue. They must be unlabeled and have sample id -1. `None` uses all references.
            include_batch: whether anchors are also compared with the other rows of the batch, as if
                the loss were called, on several replicas of the global batch. This is cross-batch
                memory (XBM, Wang et al., 2020, https://arxiv.org/abs/1912.06798), whose references
                are the embeddings of earlier batches.
            sample_weight: optional weights `[batch]` or `[batch, 1]` of the anchors, or a scalar.

        Returns:
            The reduced loss, a scalar; with `reduction=None` one loss per sample, `[batch]`.

        Raises:
            ValueError: if a shape or the dtype of the labels is not as described.
        """
        embeddings, ref_embeddings = (
            tf.cast(tf.convert_to_tensor(x), self.dtype) for x in (embeddings, ref_embeddings)
        )
        labels, ref_labels = (
            tf.stop_gradient(tf.convert_to_tensor(x)) for x in (labels, ref_labels)
        )
        if ref_sample_ids is None:
            ref_sample_ids = tf.fill(tf.shape(ref_embeddings)[:1], -1)
        ref_sample_ids = tf.convert_to_tensor(ref_sample_ids)
        if (
            ref_embeddings.shape.rank != 2
            or ref_sample_ids.shape.rank != 1
            or not ref_embeddings.shape[-1:].is_compatible_with(embeddings.shape[-1:])
        ):
            raise ValueError(
                "`ref_embeddings` must have shape [refs, dim], with the same dim as `embeddings`, "
                "and `ref_sample_ids` must have shape [refs]. Received: "
                f"ref_embeddings.shape={ref_embeddings.shape}, "
                f"embeddings.shape={embeddings.shape}, ref_sample_ids.shape={ref_sample_ids.shape}"
            )
        first_sample, batch_size = 0, tf.shape(embeddings)[0]
        replica = replica_context()
        if replica is not None:
            self._check_replicas(embeddings, replica.num_replicas_in_sync)
            first_sample = replica.replica_id_in_sync_group * embeddings.shape[0]
            batch_size *= replica.num_replicas_in_sync
        rows, sample_ids, views = self._to_rows(labels, embeddings)
        ref_rows, ref_indices, _ = self._to_rows(ref_labels, ref_embeddings)
        # References that are not views of a sample in the batch get ids above all of its samples.
        ref_sample_ids = tf.cast(ref_sample_ids, tf.int32)
        ref_sample_ids = tf.where(ref_sample_ids < 0, batch_size + ref_indices, ref_sample_ids)
        references = References(
            ref_rows,
            self._row_labels(ref_labels, 1),
            ref_sample_ids,
            ref_mask,
            first_sample,
            include_batch,
        )
        losses = self._row_losses(
            rows,
            self._row_labels(labels, views),
            sample_ids,
            views,
            references,
            replica=replica if include_batch and self.cross_replica else None,
        )
        valid = are_finite(rows) & are_finite(ref_rows)
        valid &= self._has_valid_labels(labels) & self._has_valid_labels(ref_labels)
        return self._reduce(nan_unless(valid, self._sample_losses(losses, views)), sample_weight)

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
        """Computes the loss of every row as an anchor.

        Args:
            rows: `[batch * views, dim]` embeddings, sample by sample.
            labels: their labels, from `_row_labels`.
            sample_ids: `[batch * views]` int32 from 0, equal for the views of one sample.
            views: number of views per sample.
            references: the rows to compare with; `None` to compare the rows with each other.
            replica: the replica that holds the rows, which are then compared with the rows of all
                replicas; `None` to compare them with each other only.

        Returns:
            `[batch * views]` losses.
        """
        raise NotImplementedError

    def _sample_losses(self, row_losses: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Averages the losses of rows over the anchor views of each sample, and scales them."""
        if self.anchors == "first_view":
            row_losses, views = tf.reshape(row_losses, [-1, views])[:, 0], 1
        losses = super()._sample_losses(row_losses, views)
        if self.base_temperature is not None:
            scale = current_temperature(self.temperature) / self.base_temperature
            losses *= tf.cast(scale, losses.dtype) if tf.is_tensor(scale) else scale
        return losses

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "temperature": serialize_temperature(self.temperature),
            "anchors": self.anchors,
            "base_temperature": self.base_temperature,
            "block_size": self.block_size,
            "product_dtype": self.product_dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ContrastiveLoss":
        """Rebuilds a loss from `get_config`."""
        return cls(**{**config, "temperature": deserialize_temperature(config["temperature"])})
