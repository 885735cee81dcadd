"""Trains a model with a log and checkpoints, and resumes an interrupted training."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from supcon_tf.callbacks import Checkpoints
from supcon_tf.callbacks._checkpoint_files import remove_oldest
from supcon_tf.commands.dispensable import Dispensable
from supcon_tf.commands.divergence import StopOnDivergence, convert_floating_point_error
from supcon_tf.commands.epoch_log import EpochLog
from supcon_tf.commands.fixed_order import sums_in_fixed_order
from supcon_tf.commands.remaining_time import RemainingTime


def fit(
    model: keras.Model,
    batches: tf.data.Dataset | tf.distribute.DistributedDataset,
    *,
    epochs: int,
    steps_per_epoch: int,
    directory: pathlib.Path,
    checkpoints: Checkpoints,
    chief: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a compiled model, and resumes from the newest checkpoint if one exists.

    Args:
        model: a compiled model, built from the batches.
        batches: the batches of `supcon_tf.data`.
        epochs: number of epochs of the training.
        steps_per_epoch: number of steps of an epoch.
        directory: receives `log.csv`.
        checkpoints: saves and restores the state.
        chief: whether this process writes files.
        callbacks: further callbacks.

    Raises:
        TrainingDiverged: after the first step whose loss is not finite, or if weights that are not
            finite would be saved.
        SystemExit: on Ctrl-C or SIGTERM, once the current step is saved.
    """
    checkpoints.restore(model)
    if chief:  # A kill can have come between the last save and this removal.
        remove_oldest(checkpoints.directory, checkpoints.max_to_keep)
    total_steps = epochs * steps_per_epoch
    loggers: list[keras.callbacks.Callback] = []
    if chief:
        finished_epochs = checkpoints.step // steps_per_epoch
        if checkpoints.step:
            print(
                f"resuming at step {checkpoints.step}, in epoch {finished_epochs + 1}", flush=True
            )
        loggers = [
            Dispensable(EpochLog(directory / "log.csv", finished_epochs)),
            RemainingTime(total_steps, checkpoints.step),
        ]
    with (
        convert_floating_point_error(model),
        _convert_keyboard_interrupt(checkpoints),
        sums_in_fixed_order(),
    ):
        model.fit(
            batches,
            epochs=epochs,
            callbacks=[*callbacks, StopOnDivergence(), *loggers, checkpoints],
            verbose=_verbosity(chief),
        )


@contextlib.contextmanager
def _convert_keyboard_interrupt(checkpoints: Checkpoints) -> Iterator[None]:
    """Ends the program on Ctrl-C with one sentence, instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(
            "stopped; the same command resumes from the newest checkpoint in "
            f"{checkpoints.directory}"
        ) from None


def _verbosity(chief: bool) -> int:
    """Returns 1 for a progress bar on a terminal, 2 for a line per epoch, 0 for silence."""
    if not chief:
        return 0
    return 1 if sys.stdout.isatty() else 2
