"""A training that logs, saves checkpoints, and goes on where it was stopped."""

import csv
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
from experiments.files import write_atomically, write_json
from supcon_tf.callbacks import Checkpoints


def claim(directory: pathlib.Path, config: ConfigDict, *, chief: bool) -> None:
    """Makes the directory of a run and writes the recipe there.

    Args:
        directory: where the run's files go.
        config: the recipe.
        chief: whether this process is the one that writes.

    Raises:
        ValueError: if a run of another recipe is there.
    """
    path = directory / "config.json"
    text = config.to_json(indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        before, now = json.loads(path.read_text()), json.loads(text)
        changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
        raise ValueError(
            f"{directory} holds a run with other settings ({', '.join(changed)}); choose another "
            "--output_dir, or remove it to start anew."
        )
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda name: name.write_text(text))


def fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
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
        model: a compiled model.
        batches: makes the batches from a step on to the end of the training.
        epochs: length of the training.
        steps_per_epoch: steps of an epoch.
        directory: where `checkpoints/`, `log.csv` and `tensorboard/` go.
        config: `checkpoint_steps`, how many steps lie between checkpoints, and `checkpoints_kept`.
        chief: whether this process is the one that writes.
        callbacks: further callbacks.
    """
    checkpoints = Checkpoints(
        directory / "checkpoints", every=config.checkpoint_steps, keep=config.checkpoints_kept
    )
    log = directory / "log.csv"
    done = checkpoints.step // steps_per_epoch
    writers: list[keras.callbacks.Callback] = []
    if chief:
        if checkpoints.step:
            print(f"going on at step {checkpoints.step}, in epoch {done + 1}", flush=True)
        _forget_epochs_from(log, done)
        writers = [
            keras.callbacks.LambdaCallback(on_epoch_end=_add_learning_rate(model)),
            keras.callbacks.CSVLogger(log, append=True),
            keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False),
        ]
    while checkpoints.step < epochs * steps_per_epoch:
        epoch, within = divmod(checkpoints.step, steps_per_epoch)
        try:
            model.fit(
                batches(checkpoints.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if within else epochs,
                steps_per_epoch=steps_per_epoch - within,
                callbacks=[*callbacks, *writers, checkpoints],
                shuffle=False,  # the pipeline has shuffled
                verbose=0 if not chief else 1 if sys.stdout.isatty() else 2,
            )
        except KeyboardInterrupt:
            print(
                f"\nstopped at step {checkpoints.step}; the same command goes on from the newest "
                f"checkpoint in {checkpoints.directory}"
            )
            raise


def history(directory: pathlib.Path) -> dict[str, list[float]]:
    """Reads the mean of every metric in each epoch from `log.csv`."""
    with (directory / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name != "epoch"}


def write_results(
    directory: pathlib.Path, config: ConfigDict, *, seconds: float, **figures: Any
) -> None:
    """Writes results.json: the recipe, versions, and what came out."""
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
            "history": history(directory),
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


def _add_learning_rate(model: keras.Model) -> Callable[[int, dict[str, Any]], None]:
    def add(epoch: int, logs: dict[str, Any]) -> None:
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))

    return add


def _forget_epochs_from(log: pathlib.Path, epoch: int) -> None:
    """Removes the rows of epochs that are made again, which were logged after the checkpoint."""
    if not log.exists():
        return
    header, *rows = log.read_text().splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) < epoch]
    write_atomically(log, lambda name: name.write_text(header + "".join(kept) if kept else ""))
