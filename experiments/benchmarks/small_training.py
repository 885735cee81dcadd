"""A training of the scripts that takes a second, for experiments with interruptions."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.configs import digits_small
from experiments.grids import Row
from experiments.lib import ablation, pretraining, recipe_batches, recipe_runs, training
from supcon_tf._epochs import LocalEpochs, epoch_dataset

STEPS, EPOCHS = 4, 3  # steps of an epoch, and epochs


def recipe(**changes: Any) -> ConfigDict:
    """Returns the fields of a recipe that the training reads.

    Args:
        **changes: other values of fields.
    """
    config = ConfigDict(
        {
            "seed": 0,
            "epochs": EPOCHS,
            "checkpoint_steps": 3,
            "checkpoints_kept": 2,
            "data_dir": "",
            "optimizer": {"schedule": {"name": "exponential"}},
        }
    )
    config.update(changes)
    return config


def build_model() -> keras.Model:
    """Builds a model whose result depends on the state of a random layer and of the optimizer."""
    encoder = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dropout(0.2)]
    )
    model = supcon_tf.CrossEntropyModel(encoder, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=loss)
    return model


def make_batches(strategy: tf.distribute.Strategy) -> recipe_batches.Batches:
    """Returns the batches, which differ in every epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=[100, 8, 3]).astype("float32"), rng.integers(0, 2, [100, 8])
    steps = tf.data.Dataset.from_tensor_slices((x, y))
    epochs = LocalEpochs(STEPS, lambda first, last: steps.skip(first).take(last - first))
    return recipe_batches.distribute_batches(
        lambda context: epoch_dataset(epochs), strategy, whole=True
    )


def run(
    directory: pathlib.Path,
    config: ConfigDict | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    inputs: Mapping[str, Any] | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> list[np.ndarray] | None:
    """Trains, or resumes, and writes the encoder and the results.

    Args:
        directory: the directory of the run.
        config: the recipe, `recipe()` by default.
        callbacks: callbacks that precede those of the scripts.
        inputs: what else the weights depend on.
        strategy: a strategy of tf.distribute.

    Returns:
        The trained weights, or `None` on workers that write no files.
    """
    config = recipe() if config is None else config
    strategy = strategy or tf.distribute.get_strategy()
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build_model()
    weights = training.train(
        model,
        make_batches(strategy),
        num_images=8 * STEPS,
        epochs=config.epochs,
        steps_per_epoch=STEPS,
        directory=directory,
        config=config,
        strategy=strategy,
        callbacks=callbacks,
        inputs=inputs,
    )
    if weights is not None:
        if strategy.num_replicas_in_sync == 1:
            pretraining.export_encoder(model.encoder, directory)
        recipe_runs.write_results(directory, config, seconds=0.0)
    return weights


def run_grid(directory: pathlib.Path) -> None:
    """Runs a grid of two trainings, or resumes it, with `run` in place of the recipes.

    Args:
        directory: the directory of the records and the runs.
    """

    def train(row: Row, config: ConfigDict, directory: pathlib.Path, strategy: Any) -> Any:
        run(directory, recipe(seed=config.seed, epochs=config.epochs))
        results = json.loads((directory / "results.json").read_text())
        return {
            "test": {"accuracy": results["history"]["loss"][-1]},
            "tested_on": "nothing",
            "versions": results["versions"],
            "finished": results["finished"],
        }

    with mock.patch.object(ablation, "_train", train):
        records = ablation.run_grid(
            [Row("short", "_cross_entropy", {"epochs": 1}), Row("long", changes={"epochs": 2})],
            pathlib.Path(digits_small.__file__),
            seeds=[0],
            changes={},
            path=directory / "records.jsonl",
            strategy=tf.distribute.get_strategy(),
        )
    failed = [record["error"] for record in records.values() if "error" in record]
    if failed:
        raise RuntimeError(f"{len(failed)} trainings failed: {failed}")


def send_signal(number: int, steps: Sequence[int]) -> list[keras.callbacks.Callback]:
    """Returns callbacks that send this process a signal.

    Args:
        number: the signal.
        steps: the steps, counted from 1, during which it is sent; a step can repeat.
    """
    counter = iter(range(1, 100))

    def press(batch: int, logs: Any) -> None:
        for _ in range(steps.count(next(counter))):
            os.kill(os.getpid(), number)

    return [keras.callbacks.LambdaCallback(on_train_batch_begin=press)]
