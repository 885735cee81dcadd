"""Compares the CPU time of a step of SupConModel with cross-entropy on the same encoder and views.

    python -m experiments.benchmarks.step

alternates in one process between a `keras.Sequential` of the encoder and a softmax layer on 512
images, a CrossEntropyModel on the same images, a SupConModel on two views of 256 images, with and
without health metrics, and the health metrics alone. The data are in memory: gray images of 28 x 28
pixels for the encoder of the recipe fashion_mnist_small. Prints the median time of a step, and the
median of its ratio to the `keras.Sequential` in the same round. The times are those of all threads
of the process, which other processes hardly change. Expected: ratios below 1.05, and below 0.01 for
the health metrics alone. Takes three minutes on two cores.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import app, flags

_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 256, "Images in a batch, each with two views.", lower_bound=2
)
_SIZE = flags.DEFINE_integer("size", 28, "Side of an image in pixels.", lower_bound=8)
_DEPTH = flags.DEFINE_integer("depth", 10, "Depth of the ResNet.")
_WIDTH = flags.DEFINE_float("width", 0.25, "Width of the ResNet.")
_STEPS = flags.DEFINE_integer("steps", 10, "Steps of a model in a round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Number of rounds.", lower_bound=1)


def main(_) -> None:
    """Prints a table."""
    import keras
    import numpy as np
    import tensorflow as tf

    import supcon_tf

    rng = np.random.default_rng(0)
    views = rng.random([_BATCH_SIZE.value, 2, _SIZE.value, _SIZE.value, 1], dtype="float32")
    labels = rng.integers(0, 10, _BATCH_SIZE.value)
    pairs = tf.data.Dataset.from_tensors((views, labels)).cache().repeat(_STEPS.value)
    images = supcon_tf.data.flatten_views(pairs.take(1)).cache().repeat(_STEPS.value)

    def encoder() -> keras.Model:
        return supcon_tf.encoders.resnet(
            _DEPTH.value,
            stem="cifar",
            width=_WIDTH.value,
            input_shape=(_SIZE.value, _SIZE.value, 1),
        )

    def training(model: keras.Model, data, loss, metrics=None) -> Callable[[], Any]:
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss, metrics=metrics)
        return lambda: model.fit(data, verbose=0)

    @tf.function
    def health_metrics(z):
        return [metric(tf.constant(labels), z) for metric in supcon_tf.metrics.HEALTH]

    projections = rng.normal(size=[_BATCH_SIZE.value, 2, 128]).astype("float32")
    projections = tf.math.l2_normalize(projections, axis=-1)

    def health_metrics_alone() -> None:
        for _ in range(_STEPS.value):
            tf.nest.map_structure(np.asarray, health_metrics(projections))

    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def supcon_model() -> keras.Model:
        return supcon_tf.SupConModel(encoder(), supcon_tf.projection_head((128, 128)))

    baseline_name = "Keras, cross-entropy"
    runs = {
        baseline_name: training(
            keras.Sequential([encoder(), keras.layers.Dense(10)]), images, cross_entropy
        ),
        "CrossEntropyModel": training(
            supcon_tf.CrossEntropyModel(encoder(), 10), images, cross_entropy
        ),
        "SupConModel": training(supcon_model(), pairs, supcon_tf.SupConLoss()),
        "SupConModel, health metrics": training(
            supcon_model(), pairs, supcon_tf.SupConLoss(), supcon_tf.metrics.HEALTH
        ),
        "health metrics alone": health_metrics_alone,
    }
    seconds = {name: [] for name in runs}
    for round_number in range(_ROUNDS.value + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if round_number:  # The first round traces the graph.
                seconds[name].append((time.process_time() - start) / _STEPS.value)
    baseline = seconds[baseline_name]
    print("| training | milliseconds a step | ratio |\n|---|---|---|")
    for name, times in seconds.items():
        ratio = statistics.median(t / b for t, b in zip(times, baseline, strict=True))
        print(f"| {name} | {1e3 * statistics.median(times):.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    app.run(main)
