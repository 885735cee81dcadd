"""Measures time and memory of the SupCon loss and its gradient, and of the dense formula.

    python -m experiments.benchmarks.loss --output_dir=docs/benchmarks

compares this library with the formula that keeps the whole similarity matrix: as a TensorFlow
graph, compiled by XLA, and in PyTorch if it is installed (extra `bench`). The three matrix products
of a dense gradient are the lower bound of the dense forms. Writes loss.json and a picture of it,
loss.png and loss.svg, for several numbers of rows and dimensions, and prints a table.

Expected: with 8192 rows of 128 numbers about 0.35 times the time of the dense graph, and 50 MB
instead of gigabytes; with 65,536 rows only this library runs. Takes about 20 minutes on two cores,
most of it for 65,536 rows.

    python -m experiments.benchmarks.loss --rows=1024 --rows=4096 --dim=128 --method=TripletLoss \
        --method="TripletLoss, XLA"

measures a loss that holds all pairs, here with semi-hard mining, as a graph and compiled by XLA.
The other methods are `NPairsLoss`, `TripletLoss("hard")` and `MaxMarginLoss`, with or without XLA,
and `PairwiseSupConLoss`, whose memory does not include the weights. Expected: XLA is not slower
than the graph.
"""

import collections
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable

from absl import app, flags

from experiments.lib import files
from experiments.lib.timing import median_times

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # Idle threads of PyTorch slow the others.

_ROWS = flags.DEFINE_multi_integer(
    "rows", [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536], "Numbers of rows."
)
_DIMS = flags.DEFINE_multi_integer("dim", [128, 512], "Dimensions of an embedding.")
_TEMPERATURE = flags.DEFINE_float("temperature", 0.1, "Temperature.")
_CLASSES = flags.DEFINE_integer("classes", 10, "Number of classes.")
_METHODS = flags.DEFINE_multi_string(
    "method", None, "A method to compare, repeatable; all but the losses of pairs by default."
)
_SECONDS = flags.DEFINE_float("seconds", 20, "Time for the repetitions of one size.")
_MEMORY_LIMIT = flags.DEFINE_float(
    "memory_limit", 8e9, "Predicted bytes above which a method is not run."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "The directory for loss.json and its picture."
)
_MEASURE_MEMORY = flags.DEFINE_string(
    "measure_memory", None, "Internal: METHOD;ROWS;DIM whose growth of memory is printed."
)

# The process that measures memory first runs this size: the libraries then have allocated what they
# need themselves, and the growth is due to the rows.
_WARM_UP_ROWS = 4096


def _rows(rows: int, dim: int):
    from experiments.lib.loss_forms import random_rows

    return random_rows(rows, dim, _CLASSES.value)


def _tensorflow(
    losses: Callable, jit_compile: bool = False, to_labels: Callable = lambda ids: ids
) -> Callable:
    """Returns a function of rows and dim that returns the function to measure."""
    import tensorflow as tf

    def prepare(rows, dim):
        z, ids = _rows(rows, dim)
        z, labels = tf.constant(z), tf.constant(to_labels(ids))

        @tf.function(jit_compile=jit_compile)
        def step(z, labels):
            with tf.GradientTape() as tape:
                tape.watch(z)
                loss = tf.reduce_mean(losses(z, labels))
            return loss, tape.gradient(loss, z)

        return lambda: step(z, labels)[1].numpy()

    return prepare


def _supcon_tf(z, ids):
    import tensorflow as tf

    from supcon_tf.similarity import make_rows, supcon

    rows = make_rows(z, ids, tf.range(tf.shape(z)[0]))
    return supcon(rows, None, _TEMPERATURE.value, unit_length=True)


def _generalized(z, ids):
    import tensorflow as tf

    from supcon_tf.similarity import generalized_supcon, make_rows

    samples = tf.range(tf.shape(z)[0])
    labels = tf.one_hot(ids, _CLASSES.value)
    rows = make_rows(z, samples, samples)
    return generalized_supcon(rows, labels, None, None, _TEMPERATURE.value, unit_length=True)


def _dense(z, ids):
    from experiments.lib.loss_forms import dense_supcon

    return dense_supcon(z, ids, _TEMPERATURE.value)


def _products(rows, dim):
    import tensorflow as tf

    z = tf.constant(_rows(rows, dim)[0])

    @tf.function
    def step(z):
        s = tf.matmul(z, z, transpose_b=True)
        return tf.matmul(s, z), tf.matmul(s, z, transpose_a=True)

    return lambda: step(z)[1].numpy()


def _pytorch(rows, dim):
    import torch

    from experiments.lib.loss_forms import dense_supcon_pytorch

    z, ids = map(torch.tensor, _rows(rows, dim))
    z.requires_grad_()

    def step():
        z.grad = None
        dense_supcon_pytorch(z, ids, _TEMPERATURE.value).backward()
        return z.grad.numpy()

    return step


def _pair_loss(name: str, *arguments: str, jit_compile: bool = False) -> Callable:
    def prepare(rows, dim):
        import supcon_tf

        loss = getattr(supcon_tf, name)(*arguments, reduction=None)
        return _tensorflow(lambda z, ids: loss(ids, z), jit_compile)(rows, dim)

    return prepare


def _pair_weights(rows, dim):
    import supcon_tf

    loss = supcon_tf.PairwiseSupConLoss(_TEMPERATURE.value, reduction=None)
    return _tensorflow(
        lambda z, weights: loss(weights, z),
        to_labels=lambda ids: (ids[:, None] == ids).astype("float32"),
    )(rows, dim)


METHODS: dict[str, Callable] = {
    "supcon_tf": lambda *size: _tensorflow(_supcon_tf)(*size),
    "supcon_tf, generalized": lambda *size: _tensorflow(_generalized)(*size),
    "dense TensorFlow": lambda *size: _tensorflow(_dense)(*size),
    "dense XLA": lambda *size: _tensorflow(_dense, jit_compile=True)(*size),
    "dense PyTorch": _pytorch,
    "three products": _products,
}
# Measured only if they are named.
PAIR_METHODS = {
    "PairwiseSupConLoss": _pair_weights,
    "NPairsLoss": _pair_loss("NPairsLoss"),
    "NPairsLoss, XLA": _pair_loss("NPairsLoss", jit_compile=True),
    "TripletLoss": _pair_loss("TripletLoss"),
    "TripletLoss, XLA": _pair_loss("TripletLoss", jit_compile=True),
    'TripletLoss("hard")': _pair_loss("TripletLoss", "hard"),
    'TripletLoss("hard"), XLA': _pair_loss("TripletLoss", "hard", jit_compile=True),
    "MaxMarginLoss": _pair_loss("MaxMarginLoss"),
    "MaxMarginLoss, XLA": _pair_loss("MaxMarginLoss", jit_compile=True),
}
_ALL_METHODS = METHODS | PAIR_METHODS
flags.register_validator(
    _METHODS,
    lambda methods: set(methods or ()) <= set(_ALL_METHODS),
    message=f"must be in {list(_ALL_METHODS)}",
)


def _print_memory_growth(method: str, rows: int, dim: int) -> None:
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    _ALL_METHODS[method](_WARM_UP_ROWS, dim)()
    step = _ALL_METHODS[method](rows, dim)
    before = peak()
    step()
    print(json.dumps(peak() - before))


def _memory_growth(method: str, rows: int, dim: int) -> int:
    arguments = [
        f"--measure_memory={method};{rows};{dim}",
        f"--temperature={_TEMPERATURE.value}",
        f"--classes={_CLASSES.value}",
    ]
    process = subprocess.run(
        [sys.executable, "-m", "experiments.benchmarks.loss", *arguments],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return json.loads(process.stdout.splitlines()[-1])


def _memory(methods: list[str]) -> list[dict]:
    """Returns one record per method and size, with the measured or the predicted memory.

    Call it before this process runs anything large: a new process inherits its peak memory.
    """
    records = []
    for dim in _DIMS.value:
        last: dict[str, tuple[int, int]] = {}
        for rows in sorted(_ROWS.value):
            for name in methods:
                record = {"method": name, "rows": rows, "dim": dim}
                # The memory of no method grows faster than the square of the rows.
                last_rows, last_bytes = last.get(name, (rows, 0))
                predicted = last_bytes * (rows / last_rows) ** 2
                if predicted > _MEMORY_LIMIT.value:
                    record["predicted_bytes"] = round(predicted)
                elif rows > _WARM_UP_ROWS:
                    record["bytes"] = _memory_growth(name, rows, dim)
                    last[name] = rows, record["bytes"]
                records.append(record)
    return records


def measure(methods: list[str]) -> list[dict]:
    """Measures every size and returns one record per method and size."""
    records = _memory(methods)
    by_size = collections.defaultdict(list)
    for record in records:
        by_size[record["dim"], record["rows"]].append(record)
    for (dim, rows), cells in by_size.items():
        run = [cell for cell in cells if "predicted_bytes" not in cell]
        steps = {cell["method"]: _ALL_METHODS[cell["method"]](rows, dim) for cell in run}
        times = median_times(steps, _SECONDS.value)
        for cell in cells:
            if cell in run:
                cell["seconds"] = times[cell["method"]]
            print(_describe(cell), flush=True)
    return records


def _describe(cell: dict) -> str:
    seconds = f"{1e3 * cell['seconds']:10.1f} ms" if "seconds" in cell else "      not run"
    memory = "          "
    if "bytes" in cell:
        memory = f"{cell['bytes'] / 1e6:8.0f} MB"
    elif "predicted_bytes" in cell:
        memory = f"{cell['predicted_bytes'] / 1e6:8.0f} MB predicted"
    return f"{cell['rows']:6d} x {cell['dim']:4d}  {cell['method']:24s} {seconds}  {memory}"


def main(_) -> None:
    """Measures, prints and writes."""
    if _MEASURE_MEMORY.value:
        method, rows, dim = _MEASURE_MEMORY.value.split(";")
        return _print_memory_growth(method, int(rows), int(dim))
    output_dir = files.make_output_dir(_OUTPUT_DIR.value)
    import tensorflow as tf

    methods = _METHODS.value or [
        name for name in METHODS if "PyTorch" not in name or importlib.util.find_spec("torch")
    ]
    records = measure(methods)
    if output_dir is not None:
        report = {
            "temperature": _TEMPERATURE.value,
            "classes": _CLASSES.value,
            "processors": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "measurements": records,
        }
        files.write_json(output_dir / "loss.json", report)
        from experiments import pictures

        pictures.loss_costs(output_dir / "loss.png", records)


if __name__ == "__main__":
    app.run(main)
