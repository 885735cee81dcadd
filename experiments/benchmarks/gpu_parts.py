"""The measurements of `gpu.py`, each of which runs in a process of its own.

A part is a function from settings to cases. A case has labels and a function that measures it, so
that a case that fails does not stop the others.
"""

import functools
import importlib.util
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import supcon_tf
from experiments.lib.loss_forms import (
    dense_supcon,
    dense_supcon_pytorch,
    dense_weighted,
    random_rows,
    value_and_gradient,
)
from experiments.lib.timing import median_times
from supcon_tf.similarity.dot import dot, inner_products

_DIM, _CLASSES, _SIZE = 128, 10, 32  # Of an embedding; of the data; pixels of an image.
# The errors that rounding in float32 explains. Factors in TensorFloat-32 cause errors of 1e-4.
_LARGEST_PRODUCT_ERROR, _LARGEST_LOSS_ERROR, _LARGEST_WEIGHT_ERROR = 1e-5, 1e-4, 1e-4
# Similarity matrices in memory at once: on a GPU the least of any form, since what does not fit is
# an error that ends one case; on a CPU the most, since it can stop the machine.
_MATRICES = {"GPU": 2, "CPU": 8}


class Settings(NamedTuple):
    """What to measure.

    Attributes:
        rows: numbers of rows of the loss.
        steps: timed training steps.
        batch_size: images in a batch, each with two views.
        depth: depth of the ResNet.
        width: width of the ResNet.
        dtype_policies: names of dtype policies of Keras.
        seconds: time for the repetitions of a case.
        memory_bytes: memory of the device; `None` if it is not known.
        views_per_second: views that a training step consumes; `None` if it was not measured.
    """

    rows: Sequence[int]
    steps: int
    batch_size: int
    depth: int
    width: float
    dtype_policies: Sequence[str]
    seconds: float
    memory_bytes: int | None
    views_per_second: float | None = None


class Case(NamedTuple):
    """A measurement.

    Attributes:
        labels: what is measured.
        measure: returns the numbers. "failed" and "skipped" are reasons.
    """

    labels: dict[str, Any]
    measure: Callable[[], dict[str, Any]]


def measure(part: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """Measures the cases of a part on the first GPU, or on the CPU.

    Args:
        part: a key of `PARTS`.
        settings: what to measure.

    Yields:
        For each case, its labels and numbers. A case without numbers has the reason, "failed" or
        "skipped".
    """
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
    for case in PARTS[part](settings):
        yield case.labels | _result(case.measure)


def _result(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return measure()
    except Exception as error:
        # By name, because PyTorch is optional.
        if type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError"):
            return {"skipped": "did not fit into the memory of the device"}
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


# Precision


def products(settings: Settings) -> Iterator[Case]:
    """Compares matrix products with float64."""
    z = random_rows(min(1024, max(settings.rows)), _DIM, _CLASSES)[0]
    exact = z.astype(np.float64) @ z.astype(np.float64).T
    rounded = tf.cast(tf.cast(z, tf.bfloat16), tf.float64).numpy()

    def matmul(x):
        return tf.matmul(x, x, transpose_b=True)

    def bfloat16(x):
        return tf.cast(matmul(tf.cast(x, tf.bfloat16)), tf.float32)

    def core(x, product_dtype=None):
        return dot(x, x, (1, 1), product_dtype)

    core_bfloat16 = functools.partial(core, product_dtype="bfloat16")
    compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
    bound = _LARGEST_PRODUCT_ERROR
    for name, function, truth, largest in (
        ("similarity.dot.dot, XLA", compiled(core), exact, bound),
        ("similarity.dot.inner_products", lambda x: inner_products(x, x), exact, bound),
        ("tf.matmul, eager", matmul, exact, math.inf),
        ("tf.matmul, graph", tf.function(matmul), exact, math.inf),
        ("tf.matmul, XLA", compiled(matmul), exact, math.inf),
        ("dot of bfloat16, XLA", compiled(core_bfloat16), exact, math.inf),
        ("its sums alone", compiled(core_bfloat16), rounded @ rounded.T, bound),
        ("tf.matmul of bfloat16, graph", tf.function(bfloat16), exact, math.inf),
        ("tf.matmul of bfloat16, XLA", compiled(bfloat16), exact, math.inf),
    ):
        yield Case({"product": name}, functools.partial(_product, function, z, truth, largest))


def _product(function: Callable, z: np.ndarray, truth: np.ndarray, largest: float) -> dict:
    return _within({"relative_error": _relative_error(function(tf.constant(z)), truth)}, largest)


def losses(settings: Settings) -> Iterator[Case]:
    """Compares losses and their gradients with the dense formula in float64 on the CPU."""
    z, ids = _two_views(min(2048, max(settings.rows)))
    mixed = np.eye(_CLASSES, dtype=np.float32)[ids]
    mixed = 0.7 * mixed + 0.3 * np.roll(mixed, 1, axis=0)
    for name, labels, weights in (
        ("SupConLoss", ids, _same_class(ids)),
        ("GeneralizedSupConLoss", mixed, _cosines(mixed)),
    ):
        for temperature in (0.02, 0.1, 0.5):
            loss = getattr(supcon_tf, name)(temperature)
            truth = _loss_in_float64(z, weights, temperature)
            for mode, jit_compile in (("graph", False), ("XLA", True)):
                step = tf.function(value_and_gradient(loss), jit_compile=jit_compile)
                yield Case(
                    {"loss": name, "temperature": temperature, "mode": mode},
                    functools.partial(_loss_errors, step, z, labels, truth),
                )


def _loss_errors(step: Callable, z: np.ndarray, labels: np.ndarray, truth: Sequence) -> dict:
    value, gradient = step(tf.constant(z), tf.constant(labels))
    errors = {
        "loss_error": _relative_error(value, truth[0]),
        "gradient_error": _relative_error(gradient, truth[1]),
    }
    return _within(errors, _LARGEST_LOSS_ERROR)


def _loss_in_float64(z: np.ndarray, weights: np.ndarray, temperature: float) -> Sequence:
    with tf.device("CPU:0"):
        z = tf.constant(z, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(z)
            rows = tf.reshape(tf.math.l2_normalize(z, axis=-1), [-1, _DIM])
            value = tf.reduce_mean(dense_weighted(rows, tf.constant(weights), temperature))
        return value.numpy(), tape.gradient(value, z).numpy()


def _same_class(ids: np.ndarray) -> np.ndarray:
    ids = np.repeat(ids, 2)
    return np.equal.outer(ids, ids) - np.eye(len(ids))


def _cosines(labels: np.ndarray) -> np.ndarray:
    y = np.repeat(labels, 2, axis=0).astype(np.float64)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return y @ y.T * (1 - np.eye(len(y)))


# Time and memory


def loss_time(settings: Settings) -> Iterator[Case]:
    """Measures time and memory of the loss and its gradient, in blocks and dense."""

    def ours(block_size=None):
        return value_and_gradient(supcon_tf.SupConLoss(block_size=block_size))

    def dense(ids, z):
        return tf.reduce_mean(dense_supcon(tf.reshape(z, [-1, _DIM]), tf.repeat(ids, 2), 0.1))

    forms = {
        "SupConLoss": tf.function(ours()),
        "SupConLoss, XLA": tf.function(ours(), jit_compile=True),
        **{f"SupConLoss, block_size={n}": tf.function(ours(n)) for n in (1024, 2048, 4096)},
        "dense TensorFlow": tf.function(value_and_gradient(dense)),
        "dense XLA": tf.function(value_and_gradient(dense), jit_compile=True),
    }
    for rows in settings.rows:
        for form, step in forms.items():
            measure = functools.partial(_time_and_memory, step, rows, settings)
            if "dense" in form:
                measure = _if_it_fits(rows, settings, measure)
            yield Case({"rows": rows, "form": form}, measure)


def _time_and_memory(step: Callable, rows: int, settings: Settings) -> dict:
    z, ids = map(tf.constant, _two_views(rows))
    before = _memory_in_use()
    step(z, ids)  # XLA tries kernels when it compiles, which takes memory too.
    _reset_peak_memory()
    # Reading a row waits for the gradient without copying it.
    seconds = median_times({"": lambda: step(z, ids)[1][0].numpy()}, settings.seconds)[""]
    return {"milliseconds": 1e3 * seconds, **_peak_memory(before)}


def loss_time_pytorch(settings: Settings) -> Iterator[Case]:
    """Measures the dense loss in PyTorch, eager and compiled."""
    if importlib.util.find_spec("torch") is None:
        yield Case({"form": "dense PyTorch"}, lambda: {"skipped": "PyTorch is not installed"})
        return
    for rows in settings.rows:
        for form, compiled in (("dense PyTorch", False), ("dense PyTorch, compiled", True)):
            measure = functools.partial(_time_and_memory_pytorch, compiled, rows, settings)
            yield Case({"rows": rows, "form": form}, _if_it_fits(rows, settings, measure))


def _time_and_memory_pytorch(compiled: bool, rows: int, settings: Settings) -> dict:
    import torch

    torch.compiler.reset()  # PyTorch compiles a function only for a few shapes.
    loss = dense_supcon_pytorch
    if compiled:
        loss = torch.compile(loss, dynamic=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    z, ids = (torch.tensor(x, device=device) for x in random_rows(rows, _DIM, _CLASSES))
    z.requires_grad_()

    def step():
        z.grad = None
        loss(z, ids, 0.1).backward()
        return z.grad[0].cpu()

    if device == "cpu":
        return {"milliseconds": 1e3 * median_times({"": step}, settings.seconds)[""]}
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.reset_peak_memory_stats()
    seconds = median_times({"": step}, settings.seconds)[""]
    peak = torch.cuda.max_memory_allocated() - before
    return {"milliseconds": 1e3 * seconds, "peak_megabytes": peak / 1e6}


def _if_it_fits(rows: int, settings: Settings, measure: Callable[[], dict]) -> Callable[[], dict]:
    """Returns `measure`, or a reason to skip it if its similarity matrices do not fit."""
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    needed, available = _MATRICES[device] * 4 * rows**2, settings.memory_bytes
    if available is None or needed <= available:
        return measure
    reason = f"needs {needed / 1e9:.0f} GB or more; the device has {available / 1e9:.0f} GB"
    return lambda: {"skipped": reason}


def _memory_in_use() -> int:
    """Returns the bytes in use on the GPU; 0 on a CPU, whose memory TensorFlow does not count."""
    gpus = tf.config.list_logical_devices("GPU")
    return sum(tf.config.experimental.get_memory_info(gpu.name)["current"] for gpu in gpus)


def _reset_peak_memory() -> None:
    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)


def _peak_memory(before: int) -> dict[str, float]:
    """Returns the peak memory in MB since the reset, above the bytes `before`; none on a CPU."""
    gpus = tf.config.list_logical_devices("GPU")
    peaks = [tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus]
    return {"peak_megabytes": (sum(peaks) - before) / 1e6} if peaks else {}


# Training


def training_step(settings: Settings) -> Iterator[Case]:
    """Measures training steps of a ResNet with the health metrics."""
    for policy in settings.dtype_policies:
        for jit_compile in (True, False):
            yield Case(
                {"policy": policy, "jit_compile": jit_compile},
                functools.partial(_training_step, policy, jit_compile, settings),
            )


def _training_step(policy: str, jit_compile: bool, settings: Settings) -> dict:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    before = _memory_in_use()
    encoder = supcon_tf.encoders.resnet(
        settings.depth, stem="cifar", width=settings.width, input_shape=(_SIZE, _SIZE, 3)
    )
    model = supcon_tf.SupConModel(encoder)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        loss=supcon_tf.SupConLoss(),
        metrics=supcon_tf.metrics.HEALTH,
        jit_compile=jit_compile,
    )
    rng = np.random.default_rng(0)
    views = rng.random([settings.batch_size, 2, _SIZE, _SIZE, 3], np.float32)
    batch = (views, np.arange(settings.batch_size) % _CLASSES)
    batches = tf.data.Dataset.from_tensors(batch).cache().repeat()
    start = time.perf_counter()
    model.fit(batches, steps_per_epoch=1, verbose=0)
    first = time.perf_counter() - start
    model.fit(batches, steps_per_epoch=1, verbose=0)  # Allocates what later steps use again.
    _reset_peak_memory()
    start = time.perf_counter()
    history = model.fit(batches, steps_per_epoch=settings.steps, verbose=0).history
    seconds = (time.perf_counter() - start) / settings.steps
    numbers = {
        "milliseconds": 1e3 * seconds,
        "images_per_second": settings.batch_size / seconds,
        "seconds_of_first_step": first,
        **_peak_memory(before),
        "loss": history["loss"][0],
    }
    bad = [name for name, values in history.items() if not np.all(np.isfinite(values))]
    return numbers | ({"failed": f"not finite: {', '.join(bad)}"} if bad else {})


def input_pipeline(settings: Settings) -> Iterator[Case]:
    """Measures the views per second that all cores create."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [2 * settings.batch_size, _SIZE, _SIZE, 3], np.uint8)
    source = supcon_tf.data.ArrayImages(images, np.zeros(len(images), int), ["class"])
    for policy in ("crop_flip", "sim_augment", "auto_augment", "rand_augment"):
        transform = getattr(supcon_tf.augmentation, policy)(_SIZE)
        batches = supcon_tf.data.multi_view_batches(
            source, transform, batch_size=settings.batch_size
        )
        yield Case({"policy": policy}, functools.partial(_input_rate, batches, settings))


def _input_rate(batches: tf.data.Dataset, settings: Settings) -> dict:
    batches = iter(supcon_tf.data.batches_from_step(batches, 0))
    for _ in range(3):  # The first batches wait for the threads to start.
        next(batches)
    start, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() < start + settings.seconds:
        next(batches)
        count += 1
    rate = count * 2 * settings.batch_size / (time.perf_counter() - start)
    if settings.views_per_second is None:
        return {"views_per_second": rate}
    needed = settings.views_per_second
    return {
        "views_per_second": rate,
        "fastest_step_consumes": needed,
        "created_per_consumed": rate / needed,
    }


# Replicas


def replicas(settings: Settings) -> Iterator[Case]:
    """Compares the weights after training on one device and on two logical devices of it."""
    devices = _split_device(settings.memory_bytes)
    # The sums of TensorFloat-32 would differ with the size of a replica's batch.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield Case(
        {"devices": " and ".join(devices), "steps": settings.steps},
        functools.partial(_compare_replicas, devices, settings.steps),
    )


def _split_device(memory_bytes: int | None) -> list[str]:
    """Creates two logical devices of the GPU, or of the CPU, before TensorFlow uses it."""
    gpus = tf.config.get_visible_devices("GPU")
    kind = "GPU" if gpus else "CPU"
    limit = min(4096, (memory_bytes or 16e9) / 4 / 2**20) if gpus else None
    tf.config.set_logical_device_configuration(
        (gpus or tf.config.list_physical_devices("CPU"))[0],
        [tf.config.LogicalDeviceConfiguration(memory_limit=limit)] * 2,
    )
    return [f"{kind}:0", f"{kind}:1"]


def _compare_replicas(devices: Sequence[str], steps: int) -> dict:
    # NCCL, which MirroredStrategy uses by default, refuses two replicas on one GPU.
    strategy = tf.distribute.MirroredStrategy(
        devices, cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    single, start, one_loss = _train_replicas(steps)
    with strategy.scope():
        double, _, two_loss = _train_replicas(steps, start)
    moved = max(np.abs(a - b).max() for a, b in zip(single, start, strict=True))
    difference = max(np.abs(a - b).max() for a, b in zip(single, double, strict=True))
    numbers = {"loss_on_one": one_loss, "loss_on_two": two_loss}
    errors = {"difference_of_weights_per_change": float(difference / moved)}
    return numbers | _within(errors, _LARGEST_WEIGHT_ERROR)


def _train_replicas(steps: int, start: list[np.ndarray] | None = None) -> tuple:
    """Trains a small model; returns its weights, those before the training, and the last loss."""
    encoder = keras.Sequential(
        [
            keras.Input([8, 8, 1]),
            keras.layers.Conv2D(8, 3, strides=2),
            keras.layers.BatchNormalization(synchronized=True),
            # Smooth: where an input of a ReLU is nearly zero, rounding would decide what moves.
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
        ]
    )
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((16, 16)))
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss=supcon_tf.SupConLoss())
    rng = np.random.default_rng(0)
    views = rng.normal(size=[24, 2, 8, 8, 1]).astype("float32")
    model(views)  # Creates the weights.
    if start is not None:
        model.set_weights(start)
    start = model.get_weights()
    batches = tf.data.Dataset.from_tensors((views, np.arange(24) % 5)).repeat()
    history = model.fit(batches, steps_per_epoch=steps, verbose=0).history
    return model.get_weights(), start, history["loss"][-1]


# Shared


def _two_views(rows: int) -> tuple[np.ndarray, np.ndarray]:
    z, ids = random_rows(rows, _DIM, _CLASSES)
    return z.reshape([rows // 2, 2, _DIM]), ids[: rows // 2]


def _relative_error(value: Any, truth: Any) -> float:
    error = np.linalg.norm(np.asarray(value, np.float64) - truth)
    return float(error / np.linalg.norm(truth))


def _within(errors: dict[str, float], largest: float) -> dict[str, Any]:
    """Adds the reason "failed" if an error is above the largest that rounding explains."""
    if all(error <= largest for error in errors.values()):
        return errors
    return errors | {"failed": f"the error is above {largest:g}"}


PARTS: dict[str, Callable[[Settings], Iterator[Case]]] = {
    function.__name__: function
    for function in (
        products,
        losses,
        loss_time,
        loss_time_pytorch,
        training_step,
        input_pipeline,
        replicas,
    )
}
