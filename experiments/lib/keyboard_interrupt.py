"""Ctrl-C in a training: it ends after the step that it is in, with a checkpoint."""

import signal
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.callbacks import Checkpoints


class Interruption(keras.callbacks.Callback):
    """While its `with` block lasts, Ctrl-C ends `fit` after a step, and a second one at once.

    The state is whole between steps only, so that a checkpoint of it has to wait. Several workers
    save together and cannot be asked together: they end at once, with the checkpoints that they
    have.

    Args:
        checkpoints: saves the state; stands before this callback in the list that `fit` takes.
        strategy: the strategy of tf.distribute that the model was made under.

    Raises:
        SystemExit: by the end of the step, with a text that says where the checkpoint is.
    """

    def __init__(self, checkpoints: Checkpoints, strategy: tf.distribute.Strategy):
        super().__init__()
        self.checkpoints = checkpoints
        self._at_once = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def __enter__(self) -> "Interruption":
        self._asked = False
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training if that was asked for; at the end of an epoch after its logs."""
        if self._asked and self.checkpoints.within_epoch:
            self._end(within_epoch=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the training if that was asked for."""
        if self._asked:
            self._end(within_epoch=False)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked or self._at_once:
            raise SystemExit(self._text("stopped"))
        self._asked = True
        print("\nstopping after this step; Ctrl-C again stops at once", flush=True)

    def _end(self, *, within_epoch: bool) -> None:
        self.checkpoints.save(within_epoch=within_epoch)
        raise SystemExit(self._text(f"stopped at step {self.checkpoints.step}"))

    def _text(self, what: str) -> str:
        return (
            f"{what}; the same command goes on from the newest checkpoint in "
            f"{self.checkpoints.directory}"
        )
