"""Saves a checkpoint when Ctrl-C interrupts a training."""

import signal
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.callbacks import Checkpoints


class SaveOnInterrupt(keras.callbacks.Callback):
    """Ends `fit` on Ctrl-C after the current step, with a checkpoint.

    The training state is consistent only between steps, so the checkpoint waits for the end of the
    step. A second Ctrl-C ends `fit` at once.

    Several workers end at once and keep their last checkpoints: they would have to save together,
    but Ctrl-C does not reach them at the same step.

    Use it as a context manager around `fit`; on exit it restores the previous signal handler.

    Args:
        checkpoints: saves the state. Place it before this callback in the list that `fit` receives.
        strategy: the strategy of tf.distribute under which the model was created.

    Raises:
        SystemExit: at the end of the step, with the directory of the checkpoint.
    """

    def __init__(self, checkpoints: Checkpoints, strategy: tf.distribute.Strategy):
        super().__init__()
        self.checkpoints = checkpoints
        self._at_once = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def __enter__(self) -> "SaveOnInterrupt":
        self._requested = False
        self._previous_handler = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training within an epoch; `on_epoch_end` does so after the last step."""
        if self._requested and self.checkpoints.within_epoch:
            self._end(within_epoch=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the training once the epoch is logged."""
        if self._requested:
            self._end(within_epoch=False)

    def _handle(self, number: int, frame: Any) -> None:
        if self._requested or self._at_once:
            raise SystemExit(self._message("stopped"))
        self._requested = True
        print("\nstopping after this step; Ctrl-C again stops at once", flush=True)

    def _end(self, *, within_epoch: bool) -> None:
        self.checkpoints.save(within_epoch=within_epoch)
        raise SystemExit(self._message(f"stopped at step {self.checkpoints.step}"))

    def _message(self, event: str) -> str:
        return (
            f"{event}; the same command resumes from the newest checkpoint in "
            f"{self.checkpoints.directory}"
        )
