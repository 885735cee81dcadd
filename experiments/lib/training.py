"""A training that logs, saves checkpoints, and goes on where it was stopped."""

import csv
import datetime
import functools
import json
import pathlib
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.divergence import (
    StopIfDiverged,
    divergence_as_a_sentence,
    require_finite_weights,
)
from experiments.lib.files import write_atomically, write_json
from experiments.lib.keyboard_interrupt import Interruption
from supcon_tf.callbacks import Checkpoints

# Makes the batches from a step on, for this worker.
Batches = Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]

# Fields that may be other ones when a training goes on: they do not change what comes out.
MAY_CHANGE = {"data_dir", "checkpoint_steps", "checkpoints_kept"}


def share_batches(
    own_batches: Callable[[int, tf.distribute.InputContext | None], tf.data.Dataset],
    strategy: tf.distribute.Strategy,
    *,
    whole: bool,
) -> Batches:
    """Lets each of several workers make its own rows of every batch, or all of them.

    Args:
        own_batches: makes the batches from a step on, as those of `multi_view_batches`.
        strategy: a strategy of tf.distribute.
        whole: whether every worker makes whole batches, as mixing needs, whose partners are there.

    Returns:
        What makes the batches from a step on for `fit`.
    """
    if whole:
        return lambda step: own_batches(step, None)
    return lambda step: supcon_tf.distribution.distribute_batches(
        strategy, functools.partial(own_batches, step)
    )


def claim(directory: pathlib.Path, config: ConfigDict, *, chief: bool) -> None:
    """Makes the directory of a run and writes the recipe there.

    A run that ended before its first checkpoint, such as by an error in its first step, leaves
    nothing to go on with, and its directory to other settings.

    Args:
        directory: where the run's files go.
        config: the recipe.
        chief: whether this process is the one that writes.

    Raises:
        ValueError: if a run of another recipe is there.
    """
    path = directory / "config.json"
    if path.exists() and any(directory.glob("checkpoints/*.index")):
        before, now = json.loads(path.read_text()), json.loads(config.to_json())
        names = {*before, *now} - MAY_CHANGE
        changed = {name for name in names if before.get(name) != now.get(name)}
        if changed:
            raise ValueError(
                f"{directory} holds a run with other settings ({', '.join(sorted(changed))}); "
                "choose another --output_dir, or remove it to start anew."
            )
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_json(path, json.loads(config.to_json()))


def train(
    model: keras.Model,
    batches: Batches,
    *,
    images: int,
    epochs: int,
    steps_per_epoch: int,
    directory: pathlib.Path,
    config: ConfigDict,
    strategy: tf.distribute.Strategy,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> list[np.ndarray] | None:
    """Claims the directory of a run and trains there.

    Args:
        model: as of `fit`.
        batches: as of `fit`.
        images: how many there are, to say so.
        epochs: as of `fit`.
        steps_per_epoch: as of `fit`.
        directory: as of `fit`.
        config: the recipe.
        strategy: the strategy of tf.distribute that the model was made under.
        callbacks: as of `fit`.

    Raises:
        Diverged: as `fit` does, and if the trained weights are not finite.

    Returns:
        The trained weights, to go on with outside of the strategy, where images need not come in
        equal batches; `None` on workers that write nothing.
    """
    chief = supcon_tf.distribution.is_chief(strategy)
    claim(directory, config, chief=chief)
    print(f"{images} images, {epochs} epochs of {steps_per_epoch} steps", flush=True)
    fit(
        model,
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        directory=directory,
        config=config,
        chief=chief,
        callbacks=callbacks,
    )
    require_finite_weights(model)
    weights = model.get_weights()  # every worker takes part
    return weights if chief else None


def fit(
    model: keras.Model,
    batches: Batches,
    *,
    epochs: int,
    steps_per_epoch: int,
    directory: pathlib.Path,
    config: ConfigDict,
    chief: bool,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> None:
    """Trains a compiled model, from the newest checkpoint on if there is one.

    Args:
        model: a compiled model, built from the batches.
        batches: makes the batches from a step on to the end of the training.
        epochs: length of the training.
        steps_per_epoch: steps of an epoch.
        directory: where `checkpoints/`, `log.csv` and `tensorboard/` go.
        config: `checkpoint_steps`, how many steps lie between checkpoints, and `checkpoints_kept`.
        chief: whether this process is the one that writes.
        callbacks: further callbacks.

    Raises:
        Diverged: after the first step whose loss is not finite, or where weights that are not
            finite would be saved.
    """
    checkpoints = Checkpoints(
        directory / "checkpoints",
        save_freq=config.checkpoint_steps,
        max_to_keep=config.checkpoints_kept,
    )
    writers: list[keras.callbacks.Callback] = []
    if chief:
        done = checkpoints.step // steps_per_epoch
        if checkpoints.step:
            print(f"going on at step {checkpoints.step}, in epoch {done + 1}", flush=True)
        writers = [
            EpochLog(directory / "log.csv", done),
            keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False),
            TimeLeft(epochs * steps_per_epoch, checkpoints.step),
        ]
    checkpoints.restore(model)
    own = [StopIfDiverged(), *writers, checkpoints]
    interruption = Interruption(checkpoints, model.distribute_strategy)
    with divergence_as_a_sentence(model), interruption:
        while checkpoints.step < epochs * steps_per_epoch:
            epoch, within = divmod(checkpoints.step, steps_per_epoch)
            model.fit(
                batches(checkpoints.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if within else epochs,
                steps_per_epoch=steps_per_epoch - within,
                callbacks=[*callbacks, *own, interruption],
                verbose=0 if not chief else 1 if sys.stdout.isatty() else 2,
            )


class EpochLog(keras.callbacks.Callback):
    """Writes every epoch's mean metrics and last learning rate to a CSV file that is always whole.

    Unlike `keras.callbacks.CSVLogger` it forgets epochs that were logged after the checkpoint from
    which a training goes on.

    Args:
        path: the file.
        first_epoch: the epoch, counted from 0, that the training begins or goes on with.
    """

    def __init__(self, path: pathlib.Path, first_epoch: int):
        super().__init__()
        self.path = path
        self._rows = [row for row in _read_log(path) if int(row["epoch"]) < first_epoch]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds a row."""
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._rows.append({"epoch": epoch, **(logs or {}), "learning_rate": float(rate)})
        write_atomically(self.path, self._write)

    def _write(self, name: pathlib.Path) -> None:
        with name.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._rows[-1])
            writer.writeheader()
            writer.writerows(self._rows)


class TimeLeft(keras.callbacks.Callback):
    """Says after every epoch how long the others will take, at the pace since the training began.

    Args:
        steps: of the whole training.
        first_step: the step that it begins or goes on with.
    """

    def __init__(self, steps: int, first_step: int):
        super().__init__()
        self._steps_left = steps - first_step
        self._steps_made = 0
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints the time left."""
        self._steps_made += self.params["steps"]
        self._steps_left -= self.params["steps"]
        if self._steps_left:
            print(time_left(self._start, self._steps_made, self._steps_left), flush=True)


def time_left(start: float, made: int, left: int) -> str:
    """Says how long the rest of something takes at the pace so far.

    Args:
        start: what `time.monotonic` gave when it began.
        made: how many parts were made since, at least one.
        left: how many are left.
    """
    seconds = (time.monotonic() - start) / made * left
    return f"about {datetime.timedelta(seconds=round(seconds))} left"


def _read_log(path: pathlib.Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_results(
    directory: pathlib.Path, config: ConfigDict, *, seconds: float, **figures: Any
) -> None:
    """Writes results.json: the recipe, versions, what came out, and the log of every epoch."""
    log = _read_log(directory / "log.csv")
    write_json(
        directory / "results.json",
        {
            "config": json.loads(config.to_json()),
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "supcon_tf": supcon_tf.__version__,
            },
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds_since_start": round(seconds, 1),
            **figures,
            "history": {
                name: [float(row[name]) for row in log] for name in log[0] if name != "epoch"
            },
        },
    )


def write_projector(
    directory: pathlib.Path,
    representations: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
) -> None:
    """Writes embeddings for TensorBoard's projector.

    Args:
        directory: TensorBoard's.
        representations: `[images, dim]`.
        labels: `[images]` class ids.
        class_names: one name per class.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = "".join(f"{class_names[label]}\n" for label in labels)
    vectors = "".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in representations)
    projector = (
        'embeddings {\n  tensor_name: "representations"\n'
        '  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
    )
    for name, text in (
        ("vectors.tsv", vectors),
        ("metadata.tsv", names),
        ("projector_config.pbtxt", projector),
    ):
        write_atomically(directory / name, lambda path, text=text: path.write_text(text))
