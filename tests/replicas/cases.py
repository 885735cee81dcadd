"""Trainings that must end the same on any number of replicas and workers.

    python tests/replicas/cases.py JOBS

runs every job of a JSON list, the arguments of `train`, in a process of its own: one process must
not use two strategies, and the number of logical devices is fixed once TensorFlow has started. The
processes share the imports.
"""

import gc
import json
import multiprocessing
import os
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Compiled in less time. All sides of a comparison run the same code, and other tests compare what
# XLA optimizes with float64.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf.models.distributed_model import DistributedModel

# The others are only trained, which is where they differ.
EVALUATED = ["outside all", "momentum ids", "cross-entropy"]
# Five steps for each execution on several replicas.
IN_FIVES = ["inside one_positive, sum of weighted samples"]
# Weights move by about their own size. With 0.1, differences of 1e-7 in the first weights grow to
# 0.06 in 20 steps on one replica.
LEARNING_RATE = 0.02
STEPS, BATCH, VIEWS, CLASSES = 20, 24, 2, 5


def images_and_ids():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CLASSES, STEPS * BATCH)
    ids[::7] = -1
    images = rng.normal(size=[STEPS * BATCH, VIEWS, 8, 8, 1]) + ids[:, None, None, None, None]
    return images.astype("float32"), ids


def distributions(ids):
    rng = np.random.default_rng(1)
    lam = rng.random([len(ids), 1])
    one_hot = np.eye(CLASSES)[ids] * (ids >= 0)[:, None]
    labels = lam * one_hot + (1 - lam) * np.roll(one_hot, 1, axis=0)
    return labels.astype("float32") * (np.arange(len(ids)) % 5 > 0)[:, None]


def pair_weights(ids):
    """Weights between the samples of each batch, which are not symmetric."""
    weights = np.random.default_rng(3).random([STEPS, BATCH, BATCH])
    ids = ids.reshape(STEPS, BATCH)
    return (weights * (ids[:, :, None] == ids[:, None])).reshape(STEPS * BATCH, BATCH)


def mixed(x, ids):
    """Views and labels mixed within every batch, as in an input pipeline."""
    lam = np.random.default_rng(2).random([len(ids), VIEWS, 1])
    one_hot = np.tile(np.eye(CLASSES)[ids][:, None], [1, VIEWS, 1])
    partner = np.arange(len(ids)).reshape(STEPS, BATCH)[:, ::-1].ravel()
    y = lam * one_hot + (1 - lam) * one_hot[partner]
    lam = lam[..., None, None]
    return (lam * x + (1 - lam) * x[partner]).astype("float32"), y.astype("float32")


def teacher():
    return keras.Sequential([keras.Input([8, 8, 1]), layers.Flatten(), layers.Dense(CLASSES)])


def encoder(norm=True):
    return keras.Sequential(
        [
            keras.Input([8, 8, 1]),
            layers.Conv2D(4, 3, strides=2),
            layers.BatchNormalization(synchronized=True) if norm else layers.LayerNormalization(),
            # Smooth: where an input of a ReLU is nearly zero, rounding would decide what moves.
            layers.Activation("tanh"),
            layers.Flatten(),
        ]
    )


def supcon(loss, weights=False, policy="float32", dim=16, norm=True, distilled=False, **arguments):
    keras.config.set_dtype_policy(policy)
    x, ids = images_and_ids()
    generalized = isinstance(loss, supcon_tf.GeneralizedSupConLoss)
    y = distributions(ids) if generalized else ids
    if distilled:
        x, y = mixed(x, ids)
        y *= (np.arange(len(ids)) % 5 > 0)[:, None, None]
        arguments = {"distillation": supcon_tf.Distillation(teacher(), weight=0.5), **arguments}
    kind = supcon_tf.SupConModel
    if "memory_size" in arguments:
        kind = supcon_tf.CrossBatchSupConModel
    if "queue_size" in arguments:
        kind = supcon_tf.MomentumSupConModel
        arguments["num_classes"] = CLASSES if generalized else None
    model = kind(encoder(norm), supcon_tf.projection_head((dim,)), **arguments)
    model.compile(keras.optimizers.SGD(LEARNING_RATE, momentum=0.9), loss=loss)
    data = (x, y, np.linspace(0, 2, len(y), dtype="float32")) if weights else (x, y)
    return model, data


def cross_entropy(linear=False):
    x, ids = images_and_ids()
    kind = supcon_tf.LinearClassifier if linear else supcon_tf.CrossEntropyModel
    model = kind(encoder(), CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.9), loss=loss, metrics=["accuracy"]
    )
    return model, (x[:, 0], ids % CLASSES)


def own_rows():
    """Instead of data, makes what makes batches of views of which a worker only makes its part."""
    model, (_, ids) = supcon(supcon_tf.SupConLoss(0.2))
    noise = np.random.default_rng(0).integers(0, 128, [len(ids), 12, 12, 1])
    pixels = (noise + 25 * (1 + ids[:, None, None, None])).astype(np.uint8)
    images = supcon_tf.data.ArrayImages(pixels, ids, [str(k) for k in range(CLASSES)])
    images = images.take(np.arange(len(ids) // 2))  # Two epochs have the steps of other trainings.

    def batches(context):
        return supcon_tf.data.multi_view_batches(
            images,
            supcon_tf.augmentation.crop_flip(8),
            batch_size=32,
            input_context=context,
        )

    return model, batches


class DoublePrecisionModel(DistributedModel):
    """Embeddings in float64. The other models of the library compute projections in float32."""

    def __init__(self, dim):
        super().__init__()
        self.network = keras.Sequential(
            [
                keras.Input([VIEWS, 8, 8, 1]),
                layers.Reshape([VIEWS, 64]),
                layers.Dense(16, "tanh"),
                layers.Dense(dim),
            ]
        )

    def call(self, images):
        return self.network(images)


def double_precision(loss, dim=16, weights=False, **options):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    x, ids = images_and_ids()
    labels = {
        supcon_tf.GeneralizedSupConLoss: distributions,
        supcon_tf.PairwiseSupConLoss: pair_weights,
    }
    y = labels.get(loss, lambda ids: ids)(ids)
    model = DoublePrecisionModel(dim)
    optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=0.9)
    model.compile(optimizer, loss=loss(**{"temperature": 0.2, **options}))
    return model, (x, y, np.linspace(0, 2, len(y))) if weights else (x, y)


def cases():
    """Maps names to functions that make a compiled model and its data."""
    made = {}

    def add(name, function, *args, **kwargs):
        made[name] = lambda: function(*args, **kwargs)

    def add_mode(summation, denominator, other="", weights=False, **arguments):
        loss = supcon_tf.SupConLoss(0.2, summation=summation, denominator=denominator, **arguments)
        add(f"{summation} {denominator}{other}", supcon, loss, weights=weights)

    add_mode("outside", "all")
    total = {"reduction": "sum", "base_temperature": 10.0}
    add_mode("inside", "one_positive", ", sum of weighted samples", weights=True, **total)
    annealed = supcon_tf.SupConLoss(keras.optimizers.schedules.PolynomialDecay(0.2, STEPS, 0.1))
    add("no norm", supcon, annealed, norm=False)
    add("micro-batches", supcon, annealed, norm=False, micro_batch_size=3)
    add("alone", supcon, supcon_tf.SupConLoss(0.2, cross_replica=False))
    similarity_sum = supcon_tf.GeneralizedSupConLoss(0.2)
    contrast_count = supcon_tf.GeneralizedSupConLoss(0.2, weighting="contrast_count")
    add("similarity_sum gathered, distilled", supcon, similarity_sum, distilled=True)
    queue = {"queue_size": 4 * BATCH, "momentum": 0.9}  # full after four steps
    add("momentum ids", supcon, supcon_tf.SupConLoss(0.2, positives_cap=3), **queue)
    add("momentum distilled", supcon, contrast_count, distilled=True, **queue)
    add("cross-batch", supcon, supcon_tf.SupConLoss(0.2), memory_size=3 * BATCH)
    add("mixed_float16", supcon, supcon_tf.SupConLoss(0.2), policy="mixed_float16")
    add("cross-entropy", cross_entropy)
    add("linear", cross_entropy, linear=True)
    add("own rows", own_rows)
    for summation, denominator, options in (
        ("outside", "all", {}),
        ("outside", "one_positive", total),
        ("outside", "only_negatives", {}),
        ("outside", "class_average", {}),
        ("inside", "one_positive", {"weights": True}),
    ):
        options = {"summation": summation, "denominator": denominator, **options}
        name = f"float64 {summation} {denominator}"
        add(name, double_precision, supcon_tf.SupConLoss, **options)
    first_view = {"anchors": "first_view", "positives_cap": 4}
    add("float64 first view, positives cap", double_precision, supcon_tf.SupConLoss, **first_view)
    add("float64 pair weights", double_precision, supcon_tf.PairwiseSupConLoss)
    cold = {"temperature": 0.02}  # no fixed shift is safe
    add("float64 cold", double_precision, supcon_tf.SupConLoss, **cold)
    # With 16 dimensions distributions are gathered, with 3 moments are added up.
    generalized = supcon_tf.GeneralizedSupConLoss
    add("float64 gathered", double_precision, generalized)
    add("float64 added up", double_precision, generalized, 3, weighting="contrast_count")
    return made


def run(make, strategy, steps_per_execution, weights_only):
    """Trains, validates, evaluates and predicts; returns arrays by name."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model, data = make()
    model.steps_per_execution = steps_per_execution
    epochs, validation = 1, None
    if callable(data):
        batches, epochs = supcon_tf.distribution.distribute_batches(strategy, data), 2
    else:
        batches = tf.data.Dataset.from_tensor_slices(data).batch(BATCH, drop_remainder=True)
        validation = None if weights_only else batches.take(3)
    before = [w.copy() for w in model.get_weights()]
    history = model.fit(batches, epochs=epochs, validation_data=validation, verbose=0).history
    weights = model.get_weights()
    results = {f"history {key}": np.array(values) for key, values in history.items()}
    moved = []
    for k, (weight, old) in enumerate(zip(weights, before, strict=True)):
        if np.issubdtype(weight.dtype, np.floating):
            results[f"weight {k}"] = weight
            moved.append(np.abs(weight - old).max())
        else:
            results[f"integers {k}"] = weight
    results["moved"] = np.array(max(moved))
    if not weights_only:
        evaluation = model.evaluate(validation, verbose=0, return_dict=True)
        results.update({f"evaluation {key}": np.array(x) for key, x in evaluation.items()})
        unequal = tf.data.Dataset.from_tensor_slices(data[0][:29]).batch(BATCH)
        results["predictions"] = model.predict(unequal, verbose=0)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return results


def train(output, names, replicas=1, steps_per_execution=1, cluster=None):
    """Trains the named cases, and writes weights, histories and predictions to `output`.

    `cluster` is the TF_CONFIG of a worker.
    """
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    tf.config.threading.set_inter_op_parallelism_threads(2 * replicas)
    kind = "mirrored" if replicas > 1 else "one_device"
    if cluster is not None:
        os.environ["TF_CONFIG"] = json.dumps(cluster)
        kind = "multi_worker"
    strategy = supcon_tf.distribution.strategy(kind)
    made = cases()
    results = {}
    for name in names:
        steps = 5 if replicas > 1 and name in IN_FIVES else steps_per_execution
        outcome = run(made[name], strategy, steps, weights_only=name not in EVALUATED)
        for key, value in outcome.items():
            results[f"{name}/{key}"] = value
        print(output, name, flush=True)
    np.savez(output, **results)


def main():
    gc.freeze()  # Collections in a process do not copy the pages of the imports.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=train, kwargs=job) for job in json.loads(sys.argv[1])]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))


if __name__ == "__main__":
    main()
