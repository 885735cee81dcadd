"""Measures time and memory of k-NN, retrieval and search with as many features as a data set.

    python -m experiments.benchmarks.similarity_search --dim=512
    python -m experiments.benchmarks.similarity_search --train=1000000 --dim=128 --classes=1000

classifies random features by their 200 nearest training features, retrieves among the test
features and from the training features, searches the training features, and prints the time and
the largest memory of each besides the features. Expected with a dimension of 512: 13 processor
seconds for k-NN and less for retrieval among the test features, and less than 300 MB.

The largest memory is known on Linux only.
"""

import pathlib
import re
import time
from collections.abc import Callable

from absl import app, flags

_TRAIN = flags.DEFINE_integer("train", 60000, "Number of training features.", lower_bound=200)
_TEST = flags.DEFINE_integer("test", 10000, "Number of test features.", lower_bound=2)
_DIM = flags.DEFINE_integer("dim", 512, "Dimension of a feature.", lower_bound=1)
_CLASSES = flags.DEFINE_integer("classes", 10, "Number of classes.", lower_bound=1)


def main(_) -> None:
    """Prints a table."""
    import numpy as np

    from supcon_tf import evaluation

    rng = np.random.default_rng(0)
    train = rng.standard_normal([_TRAIN.value, _DIM.value], dtype=np.float32)
    test = rng.standard_normal([_TEST.value, _DIM.value], dtype=np.float32)
    train_labels = rng.integers(0, _CLASSES.value, _TRAIN.value)
    test_labels = rng.integers(0, _CLASSES.value, _TEST.value)
    index = evaluation.Index()

    def retrieve(*metrics: str) -> None:
        evaluation.retrieval_metrics(test, test_labels, train, train_labels, metrics=metrics)

    # The memory that TensorFlow allocates once is not counted.
    evaluation.knn_predict(train[:200], train_labels[:200], test[:2])
    functions: dict[str, Callable[[], object]] = {
        "knn_predict": lambda: evaluation.knn_predict(train, train_labels, test),
        "recall_at_k": lambda: evaluation.recall_at_k(test, test_labels),
        "map_at_r": lambda: evaluation.map_at_r(test, test_labels),
        "retrieval_metrics: recall, precision, ndcg": lambda: retrieve(
            "recall", "precision", "ndcg"
        ),
        "Index.add": lambda: index.add(train, train_labels),
        "Index.search, 10 neighbors": lambda: index.search(test),
        "retrieval_metrics: r_precision, map_at_r": lambda: retrieve("r_precision", "map_at_r"),
        "retrieval_metrics: map, mrr": lambda: retrieve("map", "mrr"),
    }
    print("| function | seconds | processor seconds | peak memory |\n|---|---|---|---|")
    for name, function in functions.items():
        # Makes the peak the present memory, see proc(5).
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before, start, cpu_start = peak_bytes(), time.perf_counter(), time.process_time()
        function()
        seconds = time.perf_counter() - start
        cpu_seconds = time.process_time() - cpu_start
        growth = (peak_bytes() - before) / 1e6
        print(f"| {name} | {seconds:.1f} | {cpu_seconds:.1f} | {growth:.0f} MB |", flush=True)


def peak_bytes() -> int:
    """Returns the largest memory of this process so far."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


if __name__ == "__main__":
    app.run(main)
