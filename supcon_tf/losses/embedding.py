"""Base class of all losses of embeddings: labels, views, normalization and reduction."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._keras_internals import mask_of
from supcon_tf.distribution.replicas import is_symbolic_build, replica_context
from supcon_tf.labels import are_class_ids, to_class_ids
from supcon_tf.similarity.normalization import l2_normalize


class EmbeddingLoss(keras.losses.Loss):
    """Base class of losses that compare the embeddings of a batch with each other.

    This class converts embeddings `[batch, dim]` or `[batch, views, dim]` to rows, one per view,
    and averages the losses of the rows over the views of each sample. Subclasses implement
    `_row_losses`. Subclasses whose labels are not class ids also override `_row_labels` and
    `_has_valid_labels`.

    If an embedding is not finite, all losses of the batch are NaN. Invalid label values raise an
    error, but XLA drops this check. All losses of the batch are then NaN as well. Arguments are
    read-only after construction, because a compiled step would ignore a change.
    """

    def __init__(
        self,
        *,
        normalize: bool,
        cross_replica: bool,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.normalize = normalize
        self.cross_replica = cross_replica
        self._sample_reduction = _SampleReduction(reduction=reduction, name=name, dtype=dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) and name in inspect.signature(type(self).__init__).parameters:
            raise AttributeError(
                f"`{name}` cannot be changed, because a compiled training step would ignore the "
                "change. Compile the model with a new loss. To change the temperature during "
                "training, pass a schedule, or a `keras.Variable` and assign it. "
                f"Received: {name}={value!r}"
            )
        super().__setattr__(name, value)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Computes the reduced loss.

        This override keeps the dtype of `y_true`. Keras would cast it to floating point, where
        class ids above 2^24 collide.
        """
        if y_true is None:
            raise ValueError(
                "`y_true` must hold one label per sample. To train without labels, pass class id "
                "-1 for every sample: its positives are then its own other views. Received: None"
            )
        require_no_mask("y_pred", y_pred)
        y_pred = tf.cast(tf.convert_to_tensor(y_pred), self.dtype)
        return self._reduce(self.call(tf.convert_to_tensor(y_true), y_pred), sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its views: shape `[batch]`."""
        y_true = tf.stop_gradient(y_true)
        replica = replica_context()
        if replica is not None:
            self._check_replicas(y_pred, replica.num_replicas_in_sync)
        rows, sample_ids, views = self._to_rows(y_true, y_pred)
        labels = self._row_labels(y_true, views)
        replica = replica if self.cross_replica else None
        losses = self._row_losses(rows, labels, sample_ids, views, replica=replica)
        valid = are_finite(rows) & self._has_valid_labels(y_true)
        return nan_unless(valid, self._sample_losses(losses, views))

    def _row_losses(
        self,
        rows: tf.Tensor,
        labels: tf.Tensor,
        sample_ids: tf.Tensor,
        views: int | tf.Tensor,
        *,
        replica: tf.distribute.ReplicaContext | None = None,
    ) -> tf.Tensor:
        """Computes the loss of every row.

        Args:
            rows: `[batch * views, dim]` embeddings, sample by sample.
            labels: their labels, from `_row_labels`.
            sample_ids: `[batch * views]` int32, equal for the views of one sample.
            views: number of views per sample.
            replica: the replica that holds the rows, which are then compared with the rows of all
                replicas; `None` to compare them with each other only.

        Returns:
            `[batch * views]` losses.
        """
        raise NotImplementedError

    def _row_labels(self, y_true: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Converts class ids or one-hot rows of samples to class ids of rows `[batch * views]`."""
        if is_symbolic_build():
            y_true = tf.cast(y_true, tf.int64)
        return tf.repeat(to_class_ids(y_true), views)

    def _has_valid_labels(self, y_true: tf.Tensor) -> tf.Tensor:
        """Returns whether the values of class ids or one-hot rows are valid."""
        return are_class_ids(y_true)

    def _to_rows(
        self, y_true: tf.Tensor, y_pred: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, int | tf.Tensor]:
        """Converts embeddings to rows `[batch * views, dim]`, their sample ids, and `views`."""
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
        if y_pred.dtype.size < 4:  # half precision changes logits by 0.1 at a temperature of 0.01
            y_pred = tf.cast(y_pred, tf.float32)
        if self.normalize:
            y_pred = l2_normalize(y_pred)
        # Static sizes stay static, because replicas must know how many rows they send.
        sizes = [
            size if size is not None else tf.shape(y_pred)[axis]
            for axis, size in enumerate(y_pred.shape)
        ]
        views = 1
        if y_pred.shape.rank == 3:
            views = sizes[1]
            y_pred = tf.reshape(y_pred, [sizes[0] * views, sizes[2]])
        return y_pred, tf.repeat(tf.range(sizes[0]), views), views

    def _sample_losses(self, row_losses: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Averages the losses of rows over the views of each sample."""
        return tf.reduce_mean(tf.reshape(row_losses, [-1, views]), axis=1)

    def _reduce(self, losses: tf.Tensor, sample_weight: Any) -> tf.Tensor:
        """Applies sample weights and the reduction to losses `[batch]`.

        On several replicas the result is this replica's share of the reduced loss.
        """
        if sample_weight is not None:
            sample_weight = _squeeze_weights(tf.convert_to_tensor(sample_weight), losses)
        if losses.shape == [0] and self.reduction not in (None, "none"):
            return tf.reduce_sum(losses)  # Keras does not reduce an empty vector
        return self._sample_reduction(losses, losses, sample_weight)

    def _check_replicas(self, y_pred: tf.Tensor, replicas: int) -> None:
        """Raises `ValueError` if training on several replicas would differ from training on one."""
        if y_pred.shape[0] is None:
            raise ValueError(
                "On several replicas, the batch size must be static and divisible by the number of "
                "replicas: use `dataset.batch(size, drop_remainder=True)`. Received: "
                f"y_pred.shape={y_pred.shape} on one of {replicas} replicas"
            )
        if self.reduction == "mean_with_sample_weight":
            raise ValueError(
                "`reduction` must not be 'mean_with_sample_weight' on several replicas, because "
                "each replica would divide by the weights of its own samples. Use "
                f"'sum_over_batch_size', 'mean' or 'sum'. Received: {replicas} replicas"
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "normalize": self.normalize,
            "cross_replica": self.cross_replica,
            "dtype": self.dtype,
        }


class _SampleReduction(keras.losses.Loss):
    """Applies the sample weights, reduction and replica scaling of Keras to computed losses."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the losses unchanged."""
        return y_pred


def convert_labels(loss: EmbeddingLoss, labels: Any) -> tf.Tensor:
    """Checks labels and converts them to the form in which a loss compares them.

    Args:
        loss: the loss.
        labels: labels in any form that the loss accepts as `y_true`.

    Returns:
        One class id or label distribution per sample, or per view if `labels` has an axis of views.
    """
    labels = tf.convert_to_tensor(labels)
    views = labels.shape[1] if labels.shape.rank == 3 else 1
    return loss._row_labels(labels, views)


def are_finite(rows: tf.Tensor) -> tf.Tensor:
    """Returns whether all values are finite."""
    return tf.reduce_all(tf.math.is_finite(rows))


def nan_unless(valid: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
    """Returns the losses if the inputs are valid, and NaN otherwise.

    Without this, an anchor without positives would have loss 0 even for invalid inputs.
    """
    return tf.where(valid, losses, tf.constant(float("nan"), losses.dtype))


def require_no_mask(argument: str, value: Any) -> None:
    """Raises `ValueError` if a tensor has a Keras mask. A loss of pairs cannot apply a mask."""
    mask = mask_of(value)
    if mask is not None:
        raise ValueError(
            f"`{argument}` must have no Keras mask, because every sample is compared with all "
            "others of the batch. Pool over the masked axis, or remove `Masking` layers and "
            "`mask_zero` in front of the output. Received: a mask of shape "
            f"{mask.shape}"
        )


def _squeeze_weights(weights: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
    """Returns sample weights as a vector `[batch]` or a scalar."""
    if weights.shape.rank == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.shape.rank == 0 or (
        weights.shape.rank == 1 and weights.shape.is_compatible_with(losses.shape)
    ):
        return weights
    raise ValueError(
        "`sample_weight` must hold one weight per sample, shared by its views: shape [batch] or "
        f"[batch, 1]. Received: shape={weights.shape} for losses of shape {losses.shape}"
    )
