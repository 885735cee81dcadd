"""The end of a training that diverges: one sentence, and no result."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


class Diverged(SystemExit):
    """Ends a script with its text and no traceback; a grid continues with its next training."""


class StopIfDiverged(keras.callbacks.Callback):
    """Ends `fit` in the first step after which the loss is not finite.

    `keras.callbacks.TerminateOnNaN` ends it as if it were complete: what is written at the end is
    written, over good checkpoints too. This callback stands before those that write.

    Raises:
        Diverged: with a text that names the step, the learning rate and what to try.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the mean loss of the epoch, in which no later step hides one that diverged."""
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
            raise _diverged(self.model, f"the loss is {loss} after step {step}")


def require_finite_weights(model: keras.Model) -> None:
    """Makes sure that there is something to write.

    Raises:
        Diverged: if a weight is not finite.
    """
    weight = weight_not_finite(model)
    if weight is not None:
        raise _diverged(model, f"{weight.path} is not finite at the end")


def weight_not_finite(model: keras.Model) -> keras.Variable | None:
    """Returns the first weight that holds NaN or infinity, if there is one."""
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            return weight
    return None


@contextlib.contextmanager
def divergence_as_a_sentence(model: keras.Model) -> Iterator[None]:
    """Lets `Checkpoints`, which saves no weights that are not finite, end a script.

    Raises:
        Diverged: where it raises `FloatingPointError`.
    """
    try:
        yield
    except FloatingPointError as error:
        raise _diverged(model, str(error)) from None


def _diverged(model: keras.Model, what: str) -> Diverged:
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return Diverged(
        f"The training has diverged: {what}, at a learning rate of {rate:g}; try a smaller one, a "
        "longer warm-up or clipped gradients (`global_clipnorm`)"
    )
