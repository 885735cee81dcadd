"""Measures memory and time of a training step with and without micro-batches.

    python -m experiments.benchmarks.micro_batches

trains a SupConModel on one device, in a separate process for every size of micro-batches, and
prints the growth of the peak memory in the first step, relative to a tiny step, and the time of the
second step. Expected: micro-batches of an eighth of the batch need less than a quarter of the
memory and about 4/3 of the time. Takes two minutes on two cores.
"""

import json
import resource
import subprocess
import sys
import time

from absl import app, flags

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 512, "Images in a batch.", lower_bound=8)
_DEPTH = flags.DEFINE_integer("depth", 18, "Depth of the ResNet.")
_WIDTH = flags.DEFINE_float("width", 0.5, "Width of the ResNet.")
_COUNTS = flags.DEFINE_multi_integer(
    "micro_batches", [1, 2, 4, 8], "Number of micro-batches of a batch; repeatable."
)
_MEASURE = flags.DEFINE_integer("measure", None, "Internal: the number of micro-batches.")


def _print_growth_and_time(count: int) -> None:
    import keras
    import numpy as np

    import supcon_tf

    def model_and_step(batch_size, micro_batch_size):
        encoder = supcon_tf.encoders.resnet(_DEPTH.value, stem="cifar", width=_WIDTH.value)
        model = supcon_tf.SupConModel(encoder, micro_batch_size=micro_batch_size)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=supcon_tf.SupConLoss())
        views = np.random.default_rng(0).random([batch_size, 2, 32, 32, 3], dtype="float32")
        data = (tf.constant(views), tf.constant(np.arange(batch_size) % 10))
        step = tf.function(model.train_step)
        return lambda: [float(x) for x in step(data).values()]

    import tensorflow as tf

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    model_and_step(2, None)()
    size = None if count == 1 else _BATCH_SIZE.value // count
    step = model_and_step(_BATCH_SIZE.value, size)
    before = peak()
    step()
    growth = peak() - before
    start = time.perf_counter()
    step()
    print(json.dumps([growth, time.perf_counter() - start]))


def main(_) -> None:
    """Prints a table."""
    if _MEASURE.value is not None:
        return _print_growth_and_time(_MEASURE.value)
    print("| images in a micro-batch | memory | time of a step |\n|---|---|---|")
    for count in _COUNTS.value:
        arguments = [
            f"--measure={count}",
            f"--batch_size={_BATCH_SIZE.value}",
            f"--depth={_DEPTH.value}",
            f"--width={_WIDTH.value}",
        ]
        process = subprocess.run(
            [sys.executable, "-m", "experiments.benchmarks.micro_batches", *arguments],
            stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        growth, seconds = json.loads(process.stdout.splitlines()[-1])
        name = f"{_BATCH_SIZE.value // count}" + (" (the whole batch)" if count == 1 else "")
        print(f"| {name} | {growth / 1e6:.0f} MB | {seconds:.1f} s |", flush=True)


if __name__ == "__main__":
    app.run(main)
