"""What every loss of embeddings shares: labels, views, normalization and Keras reductions."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.distribution.replicas import is_symbolic_build, replica_context
from supcon_tf.labels import are_class_labels, class_ids
from supcon_tf.similarity.normalization import l2_normalize


class _PerSampleReduction(keras.losses.Loss):
    """Applies Keras's sample weights, reduction and replica scaling to ready per-sample losses."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the losses as they are."""
        return y_pred


class EmbeddingLoss(keras.losses.Loss):
    """Base of the losses that compare the embeddings in a batch with each other.

    Subclasses implement `row_losses`, and `row_labels` if their labels are not class ids; this
    class turns embeddings `[batch, dim]` or `[batch, views, dim]` into rows, and the rows' losses
    into one value per sample.

    Where an embedding is not finite, all losses of the batch are NaN; so they are inside XLA, which
    drops checks, where a label is not valid. Arguments cannot be changed afterwards: a compiled
    step would ignore it.
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
        self._reduction_of_samples = _PerSampleReduction(
            reduction=reduction, name=name, dtype=dtype
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) and name in inspect.signature(type(self).__init__).parameters:
            raise AttributeError(
                f"`{name}` cannot be changed: a step that is compiled already would ignore it. "
                "Compile the model with a new loss. A temperature may be a `keras.Variable`, which "
                f"`assign` changes, or a schedule. Received: {name}={value!r}"
            )
        super().__setattr__(name, value)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Computes the reduced loss.

        Keras would cast `y_true` to floating point first, where ids above 2^24 collide; here the
        labels keep their dtype.
        """
        if y_true is None:
            raise ValueError(
                "`y_true` must hold a label of every sample; where there are none pass class id -1 "
                "for each, which leaves it its own other views as positives. Received: None"
            )
        require_no_mask("y_pred", y_pred)
        y_pred = tf.cast(tf.convert_to_tensor(y_pred), self.dtype)
        return self.reduce(self.call(tf.convert_to_tensor(y_true), y_pred), sample_weight)

    def reduce(self, losses: tf.Tensor, sample_weight: Any = None) -> tf.Tensor:
        """Reduces one loss per sample to what a training step minimizes.

        Args:
            losses: `[batch]`, as from `call`.
            sample_weight: optional weights `[batch]` or `[batch, 1]`, or one for all.

        Returns:
            The value of `reduction`, which on one of several replicas is its share.

        Raises:
            ValueError: if the weights have another shape.
        """
        if sample_weight is not None:
            sample_weight = _one_per_sample(tf.convert_to_tensor(sample_weight), losses)
        if losses.shape == [0] and self.reduction not in (None, "none"):
            return tf.reduce_sum(losses)  # Keras does not reduce an empty vector
        return self._reduction_of_samples(losses, losses, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its views: shape `[batch]`."""
        replica = replica_context()
        if replica is not None:
            self._require_exact_on_replicas(y_pred, replica.num_replicas_in_sync)
        rows, sample_ids, views = self._rows(y_true, y_pred)
        labels = self.row_labels(y_true, views)
        replica = replica if self.cross_replica else None
        losses = self.row_losses(rows, labels, sample_ids, views, replica=replica)
        return nan_unless(
            are_finite(rows) & self.are_labels(y_true), self._per_sample(losses, views)
        )

    def are_labels(self, y_true: tf.Tensor) -> tf.Tensor:
        """Tells whether the values of labels, here class ids or one-hot rows, are valid."""
        return are_class_labels(y_true)

    def row_labels(self, y_true: tf.Tensor, views: int | tf.Tensor) -> tf.Tensor:
        """Turns labels of samples, here class ids, into labels of rows, one row per view."""
        if is_symbolic_build():
            y_true = tf.cast(y_true, tf.int64)
        return tf.repeat(class_ids(y_true), views)

    def row_losses(
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
            labels: their labels, from `row_labels`.
            sample_ids: `[batch * views]` int32, equal for the views of one sample.
            views: number of views per sample.
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
            y_pred = l2_normalize(y_pred)
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
        """Averages the rows' losses over the views of each sample."""
        return tf.reduce_mean(tf.reshape(losses, [-1, views]), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "normalize": self.normalize,
            "cross_replica": self.cross_replica,
            "dtype": self.dtype,
        }


def are_finite(rows: tf.Tensor) -> tf.Tensor:
    """Tells whether all numbers are finite."""
    return tf.reduce_all(tf.math.is_finite(rows))


def nan_unless(valid: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
    """Returns the losses, or NaN: what is empty or masked must not hide what is wrong."""
    return tf.where(valid, losses, tf.constant(float("nan"), losses.dtype))


def require_no_mask(argument: str, value: Any) -> None:
    """Raises `ValueError` if a tensor has a Keras mask, which a loss of pairs cannot apply."""
    if getattr(value, "_keras_mask", None) is not None:
        raise ValueError(
            f"`{argument}` must have no Keras mask: a sample cannot leave a batch of which all "
            "others are compared with it. Pool over the masked axis, or remove `Masking` layers "
            "and `mask_zero` in front of the output. Received: a mask of the shape "
            f"{value._keras_mask.shape}"
        )


def _one_per_sample(weights: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
    """Returns sample weights as `[batch]` or a scalar."""
    if weights.shape.rank == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.shape.rank == 0 or (
        weights.shape.rank == 1 and weights.shape.is_compatible_with(losses.shape)
    ):
        return weights
    raise ValueError(
        "`sample_weight` must hold one weight per sample, which its views share: shape [batch] or "
        f"[batch, 1]. Received: shape={weights.shape} for losses of the shape {losses.shape}"
    )
