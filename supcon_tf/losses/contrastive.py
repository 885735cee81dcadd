"""What every contrastive loss shares: views, normalisation, temperatures and Keras reductions."""

import math
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.similarity.replicas import replica_context

# Which views of a sample are anchors; all views are always compared with.
ANCHORS = ("all_views", "first_view")


class _PerSampleReduction(keras.losses.Loss):
    """Applies Keras's sample weights, reduction and replica scaling to ready per-sample losses."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the losses as they are."""
        return y_pred


class ContrastiveLoss(keras.losses.Loss):
    """Base of the losses that compare every view in a batch with all others.

    Subclasses implement `row_labels` and `row_losses`; this class turns embeddings `[batch, dim]`
    or `[batch, views, dim]` into rows, and the rows' losses into one value per sample.
    """

    def __init__(
        self,
        temperature: float,
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
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = positive("temperature", temperature)
        self.anchors = one_of("anchors", anchors, ANCHORS)
        self.base_temperature = (
            None if base_temperature is None else positive("base_temperature", base_temperature)
        )
        self.normalize = normalize
        self.cross_replica = cross_replica
        if block_size is not None and not (isinstance(block_size, int) and block_size > 0):
            raise ValueError(
                f"`block_size` must be None or an integer above 0. Received: {block_size!r}"
            )
        self.block_size = block_size
        self.product_dtype = one_of("product_dtype", product_dtype, (None, "bfloat16"))
        self._reduction_of_samples = _PerSampleReduction(
            reduction=reduction, name=name, dtype=dtype
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Computes the reduced loss.

        Keras would cast `y_true` to floating point first, where ids above 2^24 collide; here the
        labels keep their dtype.
        """
        y_pred = tf.cast(tf.convert_to_tensor(y_pred), self.dtype)
        return self.reduce(self.call(tf.convert_to_tensor(y_true), y_pred), sample_weight)

    def reduce(self, losses: tf.Tensor, sample_weight: Any = None) -> tf.Tensor:
        """Reduces one loss per sample to what a training step minimises.

        Args:
            losses: `[batch]`, as from `call` or `contrast`.
            sample_weight: optional `[batch]` weights.

        Returns:
            The value that `reduction` says, which on one of several replicas is its share.
        """
        return self._reduction_of_samples(losses, losses, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its anchor views: shape `[batch]`."""
        replica = replica_context()
        if replica is not None:
            self._require_exact_on_replicas(y_pred, replica.num_replicas_in_sync)
        rows, sample_ids, views = self._rows(y_true, y_pred)
        labels = self.row_labels(y_true, views)
        replica = replica if self.cross_replica else None
        losses = self.row_losses(rows, labels, sample_ids, views, replica=replica)
        return self._per_sample(losses, views)

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
        """
        anchors, contrasts = (
            tf.cast(tf.convert_to_tensor(x), self.dtype) for x in (anchors, contrasts)
        )
        contrast_labels, sample_ids = map(tf.convert_to_tensor, (contrast_labels, sample_ids))
        if contrasts.shape.rank != 2 or sample_ids.shape.rank != 1:
            raise ValueError(
                "`contrasts` must have the shape [contrasts, dim], and `sample_ids` [contrasts]. "
                f"Received: contrasts.shape={contrasts.shape}, sample_ids.shape={sample_ids.shape}"
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
        return self._per_sample(losses, views)

    def row_labels(self, y_true: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Turns labels of samples into labels of rows, one row per view."""
        raise NotImplementedError

    def row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        contrasts: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None] | None = None,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row as an anchor.

        Args:
            rows: `[batch * views, dim]` embeddings, sample by sample.
            labels: their labels, from `row_labels`.
            sample_ids: `[batch * views]` int32, equal for the views of one sample.
            views: number of views per sample.
            contrasts: rows, labels and sample ids of what they are compared with, and which of them
                are there (see `rows.describe`); `None` if they are compared with each other.
            replica: `None`, or the replica whose rows they are, to compare them with everyone's.

        Returns:
            `[batch * views]` losses.
        """
        raise NotImplementedError

    def _rows(
        self, y_true: tf.Tensor, y_pred: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, int | tf.Tensor]:
        """Turns embeddings of samples into rows, their sample ids, and the number of views."""
        if y_pred.shape.rank not in (2, 3):
            raise ValueError(
                "`y_pred` must hold embeddings of shape [batch, dim] or [batch, views, dim]. "
                f"Received: shape={y_pred.shape}"
            )
        if not y_true.shape[:1].is_compatible_with(y_pred.shape[:1]):
            raise ValueError(
                "`y_true` and `y_pred` must have the same batch size: one label per sample, shared "
                f"by its views. Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
            )
        if y_pred.dtype.size < 4:  # half precision moves logits by 0.1 at a temperature of 0.01
            y_pred = tf.cast(y_pred, tf.float32)
        if self.normalize:
            y_pred = tf.math.l2_normalize(y_pred, axis=-1)
        # What is known statically stays so: replicas have to know how many rows they send.
        sizes = [
            size if size is not None else tf.shape(y_pred)[axis]
            for axis, size in enumerate(y_pred.shape)
        ]
        views = 1
        if y_pred.shape.rank == 3:
            views = sizes[1]
            y_pred = tf.reshape(y_pred, [sizes[0] * views, sizes[2]])
        return y_pred, tf.repeat(tf.range(sizes[0]), views), views

    def _require_exact_on_replicas(self, y_pred: tf.Tensor, replicas: int) -> None:
        """Raises `ValueError` where several replicas would not train as one does."""
        if y_pred.shape[0] is None:
            raise ValueError(
                "On several replicas the losses need batches of a static size that the number of "
                "replicas divides: use `dataset.batch(size, drop_remainder=True)`. Received: "
                f"y_pred.shape={y_pred.shape} on one of {replicas} replicas"
            )
        if self.reduction == "mean_with_sample_weight":
            raise ValueError(
                "`reduction` must not be 'mean_with_sample_weight' on several replicas, since each "
                "would divide by the weights of its own samples; use 'sum_over_batch_size', 'mean' "
                f"or 'sum'. Received: {replicas} replicas"
            )

    def _per_sample(self, losses: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Averages the rows' losses over the anchor views of each sample."""
        losses = tf.reshape(losses, [-1, views])
        if self.anchors == "first_view":
            losses = losses[:, :1]
        per_sample = tf.reduce_mean(losses, axis=1)
        if self.base_temperature is not None:
            per_sample *= self.temperature / self.base_temperature
        return per_sample

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "anchors": self.anchors,
            "base_temperature": self.base_temperature,
            "normalize": self.normalize,
            "cross_replica": self.cross_replica,
            "block_size": self.block_size,
            "product_dtype": self.product_dtype,
            "dtype": self.dtype,
        }


def one_of(argument: str, value: Any, choices: tuple) -> Any:
    """Returns the value of an argument, or raises `ValueError` if it is none of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")
    return value


def positive(argument: str, value: float) -> float:
    """Returns the value of an argument, or raises `ValueError` if it is no number above 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0. Received: {value!r}")
    return float(value)
