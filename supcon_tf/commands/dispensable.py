"""Output without which a training continues: logs, pictures and tables."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def warn_if_not_written() -> Iterator[None]:
    """Converts an error of writing a file into a warning."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        message = str(error).splitlines()[0]
        warnings.warn(f"A log or a picture cannot be written: {message}", stacklevel=3)


class Dispensable(keras.callbacks.Callback):
    """Runs a callback that only writes files. If a file cannot be written, training continues.

    Args:
        callback: the callback.
    """

    def __init__(self, callback: keras.callbacks.Callback):
        super().__init__()
        self.callback = callback

    def set_params(self, params: dict[str, Any]) -> None:
        """Passes the parameters of `fit`."""
        self.callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        """Passes the model, at which TensorBoard creates its directory."""
        self._usable = False
        with warn_if_not_written():
            self.callback.set_model(model)
            self._usable = True

    def on_train_begin(self, logs: Any = None) -> None:
        """Passes the beginning of `fit`."""
        self._call("on_train_begin", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Passes the beginning of an epoch."""
        self._call("on_epoch_begin", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Passes the beginning of a batch."""
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes the end of a batch."""
        self._call("on_train_batch_end", batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Passes the end of an epoch."""
        self._call("on_epoch_end", epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Passes the end of `fit`."""
        self._call("on_train_end", logs)

    def _call(self, name: str, *arguments: Any) -> None:
        if self._usable:
            with warn_if_not_written():
                getattr(self.callback, name)(*arguments)
