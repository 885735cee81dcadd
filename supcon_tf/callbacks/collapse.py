"""A warning when a contrastive training does not get off the ground."""

import math
import warnings
from typing import Any

import keras

from supcon_tf._checks import check_integer
from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.temperature import at_step, current_temperature


class CollapseWarning(keras.callbacks.Callback):
    """Warns once in a `fit` if the loss stays at its value for projections that are all equal.

    Every row is then as similar to all others, and the loss is the logarithm of how many a row is
    compared with, times `temperature / base_temperature` if the loss has a base temperature.

    Examples:
        >>> import supcon_tf
        >>> warning = supcon_tf.callbacks.CollapseWarning(contrasts=2 * 256 - 1)

    Args:
        contrasts: how many rows an anchor is compared with: the views in the global batch but one;
            with a queue, the keys of a batch and the queue.
        patience: how many epochs in a row the mean loss may be there.
        tolerance: how near it counts as there, as a fraction.

    Raises:
        ValueError: if `contrasts` is below 2 or `patience` below 1.
    """

    def __init__(self, contrasts: int, *, patience: int = 3, tolerance: float = 0.01):
        super().__init__()
        self.contrasts = check_integer("contrasts", contrasts, least=2)
        self.patience = check_integer("patience", patience)
        self.tolerance = tolerance
        self._epochs = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets the epochs of another `fit`."""
        self._epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares the epoch's loss with the collapse value."""
        loss = (logs or {}).get("loss")
        value = math.log(self.contrasts) * self._scale()
        there = loss is not None and abs(loss - value) <= self.tolerance * value
        self._epochs = self._epochs + 1 if there else 0
        if self._epochs == self.patience:
            warnings.warn(
                f"For {self.patience} epochs the loss has stayed at {value:.4g}, its value when all"
                " projections are equal: the training has collapsed. A smaller learning rate, a "
                "longer warm-up or a larger batch helps.",
                stacklevel=2,
            )

    def _scale(self) -> float:
        loss = self.model.loss
        if not isinstance(loss, ContrastiveLoss) or loss.base_temperature is None:
            return 1.0
        with at_step(self.model.optimizer.iterations):
            return float(current_temperature(loss.temperature)) / loss.base_temperature
