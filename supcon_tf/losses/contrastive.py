"""What every contrastive loss shares: views, normalisation, temperatures and Keras reductions."""

import math
from typing import Any

import keras
import tensorflow as tf

# Which views of a sample are anchors; all views are always compared with.
ANCHORS = ("all_views", "first_view")


class _PerSampleReduction(keras.losses.Loss):
    """Applies Keras's sample weights, reduction and replica scaling to ready per-sample losses."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the losses as they are."""
        return y_pred


class ContrastiveLoss(keras.losses.Loss):
    """Base of the losses that compare every view in a batch with all others.

    Subclasses implement `row_losses`; this class turns embeddings `[batch, dim]` or
    `[batch, views, dim]` into rows, and the rows' losses into one value per sample.
    """

    def __init__(
        self,
        temperature: float,
        *,
        anchors: str,
        base_temperature: float | None,
        normalize: bool,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = _positive("temperature", temperature)
        if anchors not in ANCHORS:
            raise ValueError(f"`anchors` must be one of {ANCHORS}. Received: {anchors!r}")
        self.anchors = anchors
        self.base_temperature = (
            None if base_temperature is None else _positive("base_temperature", base_temperature)
        )
        self.normalize = normalize
        self._reduce = _PerSampleReduction(reduction=reduction, name=name, dtype=dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Computes the reduced loss.

        Keras would cast `y_true` to floating point first, where ids above 2^24 collide; here the
        labels keep their dtype.
        """
        y_pred = tf.cast(tf.convert_to_tensor(y_pred), self.dtype)
        losses = self.call(tf.convert_to_tensor(y_true), y_pred)
        return self._reduce(losses, losses, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes one loss per sample, the mean over its anchor views: shape `[batch]`."""
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
        if self.normalize:
            y_pred = tf.math.l2_normalize(y_pred, axis=-1)
        batch = tf.shape(y_pred)[0]
        views = 1 if y_pred.shape.rank == 2 else tf.shape(y_pred)[1]
        rows = tf.reshape(y_pred, [batch * views, tf.shape(y_pred)[-1]])
        losses = tf.reshape(self.row_losses(y_true, rows, batch, views), [batch, views])
        if self.anchors == "first_view":
            losses = losses[:, :1]
        per_sample = tf.reduce_mean(losses, axis=1)
        if self.base_temperature is not None:
            per_sample *= self.temperature / self.base_temperature
        return per_sample

    def row_losses(
        self, y_true: tf.Tensor, rows: tf.Tensor, batch: tf.Tensor, views: tf.Tensor | int
    ) -> tf.Tensor:
        """Computes the loss of every row as an anchor: `[batch * views]`, sample by sample."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "anchors": self.anchors,
            "base_temperature": self.base_temperature,
            "normalize": self.normalize,
            "dtype": self.dtype,
        }


def _positive(argument: str, value: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0. Received: {value!r}")
    return float(value)
