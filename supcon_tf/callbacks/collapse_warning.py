"""A warning for contrastive training that has collapsed."""

import math
import warnings
from typing import Any

import keras

from supcon_tf._checks import check_integer
from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.temperature import at_step, current_temperature
from supcon_tf.models.distributed_model import loss_metric
from supcon_tf.models.momentum_model import MomentumSupConModel


class CollapseWarning(keras.callbacks.Callback):
    r"""Warns once per `fit` if the loss stays at its value for projections that are all equal.

    All similarities are then equal. The softmax over the $n$ rows that an anchor is compared with
    is uniform, and the loss is

    $$\log n$$

    times `temperature / base_temperature` if the loss has a base temperature. The callback finds
    $n$ in the first step of `fit`:

    - `MomentumSupConModel`: the global batch size plus `queue_size`, for a full queue;
    - any other model: the number of views in the global batch minus 1, or in the replica's share
      minus 1 for a loss with `cross_replica=False`.

    For a model with a teacher, the callback watches `distillation_loss`, since `loss` is a weighted
    sum of two contrastive losses.

    The value is exact if every anchor has a positive and the denominator of the loss contains all
    $n$ rows. With `positives_cap`, a `denominator` other than `"all"` or
    `weighting="contrast_count"`, the loss at collapse is lower, and the callback can miss a
    collapse. With `positives_cap` or `denominator`, the difference is small if a batch has many
    classes.

    Examples:
        >>> import numpy as np, supcon_tf
        >>> model = supcon_tf.SupConModel(supcon_tf.encoders.resnet(10, stem="cifar", width=0.125))
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss())
        >>> views, labels = np.zeros([4, 2, 32, 32, 3]), np.array([0, 0, 1, 1])
        >>> warning = supcon_tf.callbacks.CollapseWarning()
        >>> history = model.fit(views, labels, callbacks=[warning], verbose=0)
        >>> warning.num_contrasts
        7

    Args:
        patience: number of consecutive epochs at the loss of a collapse before the callback warns.
        tolerance: largest relative difference between the mean loss of an epoch and that loss.

    Attributes:
        num_contrasts: $n$; `None` before the first step of `fit`.

    Raises:
        ValueError: if `patience` is below 1; in `fit`, if the model's loss is neither `SupConLoss`
            nor `GeneralizedSupConLoss`.
    """

    def __init__(self, *, patience: int = 3, tolerance: float = 0.01):
        super().__init__()
        self.patience = check_integer("patience", patience)
        self.tolerance = tolerance
        self.num_contrasts: int | None = None
        self._epochs = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Resets the count of epochs.

        Raises:
            ValueError: if the model's loss is neither `SupConLoss` nor `GeneralizedSupConLoss`.
        """
        if not isinstance(self.model.loss, ContrastiveLoss):
            raise ValueError(
                "`CollapseWarning` requires a model that is compiled with `SupConLoss` or "
                f"`GeneralizedSupConLoss`. Received: loss={self.model.loss}"
            )
        self.num_contrasts = None
        self._epochs = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Records the number of samples before the first step."""
        if self.num_contrasts is None:
            self._samples_before = self._count_samples()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Finds the number of contrasts after the first step."""
        if self.num_contrasts is None:
            execution = self.model.steps_per_execution
            steps = min(execution, self.params["steps"] or execution)
            samples = round((self._count_samples() - self._samples_before) / steps)
            self.num_contrasts = self._find_num_contrasts(samples)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares the mean loss of the epoch with the value at collapse."""
        if logs is None or self.num_contrasts is None:
            return
        loss = logs.get("distillation_loss", logs["loss"])
        value = math.log(self.num_contrasts) * self._scale()
        collapsed = abs(loss - value) < self.tolerance * value
        self._epochs = self._epochs + 1 if collapsed else 0
        if self._epochs == self.patience:
            warnings.warn(
                f"The training has collapsed: for {self.patience} epochs the loss has stayed at "
                f"{value:.4g}, its value when all projections are equal. Use a smaller learning "
                "rate, a longer warm-up or a larger batch.",
                stacklevel=2,
            )

    def _count_samples(self) -> float:
        """Returns the number of samples in this epoch, on the first replica of this worker.

        Keras weighs the mean of the loss by samples. Reading one replica needs no communication,
        so that the callback can run on the chief only.
        """
        mean_loss = loss_metric(self.model)
        strategy = self.model.distribute_strategy
        return float(strategy.experimental_local_results(mean_loss.count.value)[0])

    def _find_num_contrasts(self, samples: int) -> int:
        """Returns the number of rows that an anchor is compared with.

        Args:
            samples: number of samples of a batch on each replica.
        """
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        if isinstance(self.model, MomentumSupConModel):
            return replicas * samples + self.model.queue_size
        if not self.model.loss.cross_replica:
            replicas = 1
        return replicas * samples * self.model.loss.num_views - 1

    def _scale(self) -> float:
        loss = self.model.loss
        if loss.base_temperature is None:
            return 1.0
        with at_step(self.model.optimizer.iterations):
            return float(current_temperature(loss.temperature)) / loss.base_temperature
