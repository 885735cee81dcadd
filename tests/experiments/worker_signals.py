"""Trainings of two workers, of which one or both receive signals, and their continuation.

    TF_CONFIG=... python tests/experiments/worker_signals.py DIRECTORY NAME ...

Every worker runs this script. The first one writes the weights, the steps and the exit codes.
"""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np
import tensorflow as tf

import supcon_tf
from experiments.benchmarks import small_training
from supcon_tf.callbacks import Checkpoints
from supcon_tf.distribution.strategies import wait_for_workers

# For each training, the signal and the step in which each worker receives it.
CASES = {
    "uninterrupted": [None, None],
    "SIGTERM to one": [None, (signal.SIGTERM, 6)],
    "SIGINT to both": [(signal.SIGINT, 6), (signal.SIGINT, 6)],
    # The training that resumes at step 6 has no step 8.
    "SIGKILL to one": [None, (signal.SIGKILL, 8)],
}


def train_until_signal(directory, strategy, sent):
    """Returns the exit code of the training, or 0 at its end."""
    callbacks = small_training.send_signal(sent[0], [sent[1]]) if sent else []
    # A killed training has checkpoints; one that ends by a signal saves the only one.
    frequency = 3 if directory.name == "SIGKILL to one" else 1000
    config = small_training.recipe(checkpoint_steps=frequency)
    try:
        small_training.run(directory, config, callbacks, strategy=strategy)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    return 0


def gather(strategy, value):
    """Returns the values of all workers."""
    return strategy.gather(strategy.run(lambda: tf.constant([value])), axis=0).numpy()


def main():
    # A test suite that runs in the background ignores Ctrl-C, and so do its processes.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    strategy = supcon_tf.distribution.strategy("multi_worker")
    worker = strategy.cluster_resolver.task_id
    results = {}
    root, *names = sys.argv[1:]
    for name in names:
        directory = pathlib.Path(root) / name
        code = train_until_signal(directory, strategy, CASES[name][worker])
        results[f"{name}/codes"] = gather(strategy, code)
        results[f"{name}/step"] = Checkpoints(directory / "checkpoints").step
        wait_for_workers(strategy)  # All workers read the step before any of them resumes.
        weights = small_training.run(directory, small_training.recipe(), strategy=strategy)
        for k, weight in enumerate(weights or []):
            results[f"{name}/weight {k}"] = weight
    if worker == 0:
        np.savez(pathlib.Path(root) / f"{names[-1]}.npz", **results)


if __name__ == "__main__":
    main()
