"""Trains a model with logs and checkpoints, and resumes an interrupted training."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.dispensable import Dispensable
from experiments.lib.divergence import (
    StopOnDivergence,
    convert_floating_point_error,
    require_finite_weights,
)
from experiments.lib.epoch_log import EpochLog
from experiments.lib.recipe_batches import Batches
from experiments.lib.remaining_time import RemainingTime
from experiments.lib.run_directory import prepare_run_dir
from supcon_tf.callbacks import Checkpoints
from supcon_tf.callbacks._checkpoint_files import remove_oldest


def train(
    model: keras.Model,
    batches: Batches,
    *,
    num_images: int,
    epochs: int,
    steps_per_epoch: int,
    directory: pathlib.Path,
    config: ConfigDict,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    inputs: Mapping[str, Any] | None = None,
) -> list[np.ndarray] | None:
    """Prepares the directory of a run and trains a model.

    Args:
        model: a compiled model, built from the batches.
        batches: the batches of `supcon_tf.data`.
        num_images: number of training images, for the printed summary.
        epochs: number of epochs of the training.
        steps_per_epoch: number of steps of an epoch.
        directory: the directory of the run.
        config: the recipe.
        strategy: the strategy of tf.distribute under which the model was created.
        callbacks: further callbacks.
        inputs: what the trained weights depend on beside the recipe and the number of images.

    Returns:
        The trained weights, for a model outside of the strategy, where batches need not have equal
        sizes. `None` on workers that write no files.

    Raises:
        TrainingDiverged: after the first step whose loss is not finite, or if weights that are not
            finite would be saved or returned.
    """
    chief = supcon_tf.distribution.is_chief(strategy)
    checkpoints = prepare_run_dir(
        directory, config, chief=chief, inputs={"images": num_images, **(inputs or {})}
    )
    print(f"{num_images} images, {epochs} epochs of {steps_per_epoch} steps", flush=True)
    fit(
        model,
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        directory=directory,
        checkpoints=checkpoints,
        chief=chief,
        callbacks=callbacks,
    )
    require_finite_weights(model)
    weights = model.get_weights()  # All workers take part in this call.
    return weights if chief else None


def fit(
    model: keras.Model,
    batches: Batches,
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
        model: as in `train`.
        batches: as in `train`.
        epochs: as in `train`.
        steps_per_epoch: as in `train`.
        directory: receives `log.csv` and `tensorboard/`.
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
            Dispensable(keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False)),
            RemainingTime(total_steps, checkpoints.step),
        ]
    with convert_floating_point_error(model), _convert_keyboard_interrupt(checkpoints):
        model.fit(
            batches,
            epochs=epochs,
            callbacks=[*callbacks, StopOnDivergence(), *loggers, checkpoints],
            verbose=_verbosity(chief),
        )


@contextlib.contextmanager
def _convert_keyboard_interrupt(checkpoints: Checkpoints) -> Iterator[None]:
    """Ends a script on Ctrl-C with one sentence, instead of a traceback."""
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
