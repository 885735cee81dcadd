"""Measures memory and time of each additional model, temperature and batch size in a process.

    python -m experiments.benchmarks.programs

creates several objects of a kind one after the other, each of which is deleted, in a separate
process for every kind. Prints the growth of the memory of the process and the time per object,
without the first one. Expected: losses that are called eagerly share their programs. A model in
`fit` costs as much as a compiled model of Keras, also after `keras.backend.clear_session`, because
TensorFlow frees no program that XLA compiled. Takes three minutes on two cores.
"""

import gc
import json
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from absl import app, flags

_COUNT = flags.DEFINE_integer("count", 8, "Number of objects after the first one.", lower_bound=1)
_MEASURE = flags.DEFINE_string("measure", None, "Internal: the kind to measure.")


def _kinds() -> dict[str, Callable[[int], None]]:
    """Returns functions that create an object of a kind; each call receives a new number."""
    import keras
    import numpy as np
    import tensorflow as tf

    import supcon_tf

    rng = np.random.default_rng(0)

    def call_loss(temperature: float = 0.1, batch_size: int = 64) -> None:
        z = tf.Variable(rng.normal(size=[batch_size, 2, 16]), dtype="float32")
        with tf.GradientTape() as tape:
            value = supcon_tf.SupConLoss(temperature)(np.arange(batch_size) % 4, z)
        tape.gradient(value, z)

    def train_supcon_model() -> None:
        encoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16)])
        model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((8,)))
        model.compile("adam", loss=supcon_tf.SupConLoss())
        model.fit(rng.normal(size=[64, 2, 8]), np.arange(64) % 4, batch_size=64, verbose=0)

    def train_keras_model(jit_compile: bool) -> None:
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16)])
        model.compile("adam", "mse", jit_compile=jit_compile)
        model.fit(rng.normal(size=[64, 8]), np.ones([64, 16]), batch_size=64, verbose=0)

    def train_and_clear() -> None:
        train_supcon_model()
        keras.backend.clear_session()

    return {
        "a model of Keras, not compiled by XLA": lambda _: train_keras_model(jit_compile=False),
        "a model of Keras, compiled by XLA": lambda _: train_keras_model(jit_compile=True),
        "a SupConModel": lambda _: train_supcon_model(),
        "a SupConModel, then clear_session": lambda _: train_and_clear(),
        "a SupConLoss, called eagerly": lambda _: call_loss(),
        "the same with a new temperature": lambda k: call_loss(temperature=0.1 + 0.01 * k),
        "the same with a new batch size": lambda k: call_loss(batch_size=64 + k),
    }


def _print_growth_and_time(kind: str) -> None:
    create = _kinds()[kind]
    create(0)
    before, start = _memory(), time.perf_counter()
    for number in range(1, _COUNT.value + 1):
        create(number)
    seconds = time.perf_counter() - start
    print(json.dumps([(_memory() - before) / _COUNT.value, seconds / _COUNT.value]))


def _memory() -> int:
    """Returns the bytes of the process after garbage collection."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main(_) -> None:
    """Prints a table."""
    if _MEASURE.value is not None:
        _print_growth_and_time(_MEASURE.value)
        return
    print("| object | memory | time |\n|---|---|---|")
    for kind in _kinds():
        command = [sys.executable, "-m", __spec__.name, f"--measure={kind}"]
        output = subprocess.run(
            [*command, f"--count={_COUNT.value}"], check=True, capture_output=True, text=True
        ).stdout
        growth, seconds = json.loads(output.splitlines()[-1])
        print(f"| {kind} | {growth / 1e6:.1f} MB | {seconds:.1f} s |", flush=True)


if __name__ == "__main__":
    app.run(main)
