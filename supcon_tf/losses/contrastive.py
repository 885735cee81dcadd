"""What the contrastive losses share: temperatures, anchors and tiles."""

from typing import Any

import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer, check_positive
from supcon_tf.distribution.replicas import replica_context
from supcon_tf.losses import temperature as temperatures
from supcon_tf.losses.embedding import EmbeddingLoss, are_finite, nan_unless

# Which views of a sample are anchors; all views are always compared with.
ANCHORS = ("all_views", "first_view")

# Rows that anchors are compared with, their labels, their sample ids, and which of them are there.
Contrasts = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None]


class ContrastiveLoss(EmbeddingLoss):
    """Base of the losses over softmaxes of similarities, also to other rows than the batch's."""

    def __init__(
        self,
        temperature: temperatures.Temperature,
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
        self.temperature = temperatures.checked(temperature)
        self.anchors = check_choice("anchors", anchors, ANCHORS)
        self.base_temperature = (
            None
            if base_temperature is None
            else check_positive("base_temperature", base_temperature)
        )
        self.block_size = None if block_size is None else check_integer("block_size", block_size)
        self.product_dtype = check_choice("product_dtype", product_dtype, (None, "bfloat16"))

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables that the loss reads: a temperature that a callback assigns."""
        return temperatures.variables_of(self.temperature)

    def current_temperature(self) -> float | tf.Tensor:
        """Returns the temperature as a number, or as a scalar tensor if it may change.

        Raises:
            ValueError: if it is a schedule, outside of `temperature.at_step`.
        """
        return temperatures.value_of(self.temperature)

    def contrast(
        self,
        anchors: Any,
        labels: Any,
        contrasts: Any,
        contrast_labels: Any,
        sample_ids: Any,
        present: Any = None,
    ) -> tf.Tensor:
        """Computes the losses of anchors that are compared with other rows than themselves.

        The gradient reaches both sides; wrap rows that take none, as those of a queue, in
        `tf.stop_gradient`. On one of several replicas the anchors are its part of the global batch;
        contrasts are what they are compared with, and are not gathered from other replicas.

        Args:
            anchors: embeddings `[batch, dim]` or `[batch, views, dim]`, as `y_pred`.
            labels: their labels, as `y_true`.
            contrasts: `[contrasts, dim]` embeddings, none of which is one of the anchors.
            contrast_labels: labels of the contrasts, of the same kind as `labels`: one per row.
            sample_ids: `[contrasts]` integers: the place in the (global) batch of the sample that a
                contrast is a further view of, or -1 for one that is a view of none of them.
            present: `[contrasts]` booleans: which of the contrasts are there, `None` for all of
                them. One that is not, as in a part of a queue that is still empty, counts nowhere;
                it must have no label, and -1 as its sample id.

        Returns:
            One loss per sample, `[batch]`, not reduced: see `reduce`.

        Raises:
            ValueError: if a shape or the dtype of the labels is not as described.
        """
        anchors, contrasts = (
            tf.cast(tf.convert_to_tensor(x), self.dtype) for x in (anchors, contrasts)
        )
        contrast_labels, sample_ids = map(tf.convert_to_tensor, (contrast_labels, sample_ids))
        if (
            contrasts.shape.rank != 2
            or sample_ids.shape.rank != 1
            or not contrasts.shape[-1:].is_compatible_with(anchors.shape[-1:])
        ):
            raise ValueError(
                "`contrasts` must have the shape [contrasts, dim], with the dim of `anchors`, and "
                f"`sample_ids` [contrasts]. Received: contrasts.shape={contrasts.shape}, "
                f"anchors.shape={anchors.shape}, sample_ids.shape={sample_ids.shape}"
            )
        first, samples = 0, tf.shape(anchors)[0]
        replica = replica_context()
        if replica is not None:
            self._require_exact_on_replicas(anchors, replica.num_replicas_in_sync)
            first = replica.replica_id_in_sync_group * anchors.shape[0]
            samples *= replica.num_replicas_in_sync
        rows, anchor_ids, views = self._rows(tf.convert_to_tensor(labels), anchors)
        columns, own_ids, _ = self._rows(contrast_labels, contrasts)
        sample_ids = tf.cast(sample_ids, tf.int32)
        sample_ids = tf.where(sample_ids < 0, samples + own_ids, sample_ids)
        losses = self.row_losses(
            rows,
            self.row_labels(labels, views),
            first + anchor_ids,
            views,
            (columns, self.row_labels(contrast_labels, 1), sample_ids, present),
        )
        valid = are_finite(rows) & are_finite(columns)
        valid &= self.are_labels(tf.convert_to_tensor(labels)) & self.are_labels(contrast_labels)
        return nan_unless(valid, self._per_sample(losses, views))

    def row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        contrasts: Contrasts | None = None,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row as an anchor.

        Args:
            rows: `[batch * views, dim]` embeddings, sample by sample.
            labels: their labels, from `row_labels`.
            sample_ids: `[batch * views]` int32, equal for the views of one sample.
            views: number of views per sample.
            contrasts: rows, labels and sample ids of what they are compared with, and which of them
                are there (see `masks.make_anchor_and_contrast_rows`); `None` if they are compared
                with each other.
            replica: `None`, or the replica whose rows they are, to compare them with everyone's.

        Returns:
            `[batch * views]` losses.
        """
        raise NotImplementedError

    def _per_sample(self, losses: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Averages the rows' losses over the anchor views of each sample."""
        if self.anchors == "first_view":
            losses, views = tf.reshape(losses, [-1, views])[:, 0], 1
        per_sample = super()._per_sample(losses, views)
        if self.base_temperature is not None:
            scale = self.current_temperature() / self.base_temperature
            per_sample *= tf.cast(scale, per_sample.dtype) if tf.is_tensor(scale) else scale
        return per_sample

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "temperature": temperatures.serialize(self.temperature),
            "anchors": self.anchors,
            "base_temperature": self.base_temperature,
            "block_size": self.block_size,
            "product_dtype": self.product_dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ContrastiveLoss":
        """Rebuilds a loss from `get_config`."""
        return cls(**{**config, "temperature": temperatures.deserialize(config["temperature"])})
