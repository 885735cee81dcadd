"""Trains a model in the directory of a run, with the settings of a recipe."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.recipe_batches import Batches
from experiments.lib.recipe_runs import prepare_run_dir
from supcon_tf._checks import check_integer
from supcon_tf.commands.dispensable import Dispensable
from supcon_tf.commands.divergence import require_finite_weights
from supcon_tf.commands.training import fit


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
        ValueError: if `epochs` is not a positive integer.
        TrainingDiverged: after the first step whose loss is not finite, or if weights that are not
            finite would be saved or returned.
    """
    check_integer("epochs", epochs)
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
        callbacks=[*callbacks, *([_tensorboard(directory)] if chief else [])],
    )
    require_finite_weights(model)
    weights = model.get_weights()  # All workers take part in this call.
    return weights if chief else None


def _tensorboard(directory: pathlib.Path) -> keras.callbacks.Callback:
    return Dispensable(keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False))
