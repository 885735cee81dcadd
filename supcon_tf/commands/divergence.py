"""Ends a training that diverges with a single sentence and without a result."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


class TrainingDiverged(SystemExit):
    """Ends a script with a message and no traceback; a grid continues with its next training."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends `fit` after the first step whose loss is not finite.

    `keras.callbacks.TerminateOnNaN` ends `fit` normally, and the diverged weights are then written
    over the last good checkpoint. Place this callback before those that write.

    Raises:
        TrainingDiverged: with the step, the learning rate and what to try.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the mean loss of the epoch, which stays non-finite once a step has diverged.

        Raises:
            TrainingDiverged: if it is not finite.
        """
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
            raise TrainingDiverged(_describe(self.model, f"the loss is {loss} after step {step}"))


def require_finite_weights(model: keras.Model) -> None:
    """Raises `TrainingDiverged` if a weight of a trained model is not finite."""
    weight = find_non_finite_weight(model)
    if weight is not None:
        raise TrainingDiverged(_describe(model, f"{weight.path} is not finite at the end"))


def find_non_finite_weight(model: keras.Model) -> keras.Variable | None:
    """Returns the first weight that holds NaN or infinity, or `None`."""
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            return weight
    return None


@contextlib.contextmanager
def convert_floating_point_error(model: keras.Model) -> Iterator[None]:
    """Converts the error of `Checkpoints`, which saves finite weights only.

    Raises:
        TrainingDiverged: instead of `FloatingPointError`.
    """
    try:
        yield
    except FloatingPointError as error:
        raise TrainingDiverged(_describe(model, str(error))) from None


def _describe(model: keras.Model, reason: str) -> str:
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return (
        f"The training has diverged: {reason}, at a learning rate of {rate:g}; try a smaller one, "
        "a longer warm-up or clipped gradients (`global_clipnorm`)"
    )
