"""Measures time and memory of k-NN and retrieval with as many features as a data set.

    python -m experiments.benchmarks.similarity_search --dim=512

classifies random features by their 200 nearest training features, retrieves among the test
features, and prints the time and the growth of the peak memory of each. Expected with a dimension
of 512: 13 processor seconds for k-NN and less for retrieval, and less than 300 MB.
"""

import resource
import time

from absl import app, flags

_TRAIN = flags.DEFINE_integer("train", 60000, "Number of training features.", lower_bound=200)
_TEST = flags.DEFINE_integer("test", 10000, "Number of test features.", lower_bound=2)
_DIM = flags.DEFINE_integer("dim", 512, "Dimension of a feature.", lower_bound=1)
_CLASSES = flags.DEFINE_integer("classes", 10, "Number of classes.", lower_bound=1)


def main(_) -> None:
    """Prints a table."""
    import numpy as np

    from supcon_tf import evaluation

    def peak_bytes() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    rng = np.random.default_rng(0)
    train = rng.standard_normal([_TRAIN.value, _DIM.value], dtype=np.float32)
    test = rng.standard_normal([_TEST.value, _DIM.value], dtype=np.float32)
    train_labels = rng.integers(0, _CLASSES.value, _TRAIN.value)
    test_labels = rng.integers(0, _CLASSES.value, _TEST.value)
    # The memory that TensorFlow allocates once is not counted.
    evaluation.knn_predict(train[:200], train_labels[:200], test[:2])
    functions = {
        "knn_predict": lambda: evaluation.knn_predict(train, train_labels, test),
        "recall_at_k": lambda: evaluation.recall_at_k(test, test_labels),
        "map_at_r": lambda: evaluation.map_at_r(test, test_labels),
    }
    print(
        "| function | seconds | processor seconds | growth of the peak memory |\n|---|---|---|---|"
    )
    for name, function in functions.items():
        before, start, cpu_start = peak_bytes(), time.perf_counter(), time.process_time()
        function()
        seconds = time.perf_counter() - start
        cpu_seconds = time.process_time() - cpu_start
        growth = (peak_bytes() - before) / 1e6
        print(f"| {name} | {seconds:.1f} | {cpu_seconds:.1f} | {growth:.0f} MB |", flush=True)


if __name__ == "__main__":
    app.run(main)
