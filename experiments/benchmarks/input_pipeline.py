"""Measures views per second on one processor core for each augmentation policy.

    python -m experiments.benchmarks.input_pipeline

compares the pipeline of this library with the image layers of Keras on batches in tf.data and, if
it is installed, with torchvision on Pillow images and on tensors. The sources are images in memory
(32 pixels for views of 32, 256 pixels for views of 224) and JPEGs of 500 x 375 pixels. Every
pipeline returns two views of an image as float32 in [0, 1]. Prints a table of views per second of
processor time: medians over rounds in which the pipelines alternate. The pipelines differ:

- Keras has no crop that resizes, so its layers crop views in their own size. It has no AutoAugment.
- torchvision has another table of 25 sub-policies in AutoAugment and fewer operations in
  RandAugment. It decodes a JPEG once for each view.

Expected: more than 10,000 views of 32 pixels per second with SimAugment, several times the rate of
Keras and torchvision; AutoAugment at 224 pixels is not slower than theirs. Takes about ten minutes.
"""

import collections
import importlib.util
import io
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator

from absl import app, flags

from experiments.lib import files

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

POLICIES = ("crop_flip", "sim_augment", "auto_augment", "rand_augment", "stacked_rand_augment")

_SIZES = flags.DEFINE_multi_integer("size", [32, 224], "Sides of the views in pixels.")
_POLICIES = flags.DEFINE_multi_enum("policy", list(POLICIES), POLICIES, "Policies to measure.")
_JPEG = flags.DEFINE_bool("jpeg", True, "Whether to also measure views of 224 pixels from JPEGs.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images in a batch.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 2, "Processor time of a pipeline in each round.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Number of rounds.", lower_bound=1)
_PIN = flags.DEFINE_bool("pin", True, "Whether to pin the process to one core.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "The directory for input_pipeline.json.")

# Yields batches of float32 views, with one or two leading axes.
Batches = Iterator


def _on_one_thread(dataset) -> Batches:
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return (views.numpy() for views, _ in dataset.with_options(options))


def _ours(policy: str, size: int, images, jpeg: bool) -> Batches:
    import numpy as np

    from supcon_tf import augmentation, data

    labels = np.zeros(len(images), int)
    source = (data.EncodedImages if jpeg else data.ArrayImages)(images, labels, ["class"])
    arguments = {"blur": size > 32} if policy == "sim_augment" else {}
    transform = getattr(augmentation, policy)(size, scale=(0.2, 1.0), **arguments)
    views = data.multi_view_batches(source, transform, batch_size=_BATCH_SIZE.value)
    return _on_one_thread(data.batches_from_step(views, 0))


def _keras(policy: str, size: int, images, jpeg: bool) -> Batches:
    import keras
    import tensorflow as tf

    layers = [keras.layers.RandomCrop(size, size), keras.layers.RandomFlip("horizontal")]
    jitter = keras.layers.RandomColorJitter(
        value_range=(0, 1),
        brightness_factor=0.4,
        contrast_factor=0.4,
        saturation_factor=(0.3, 0.7),
        hue_factor=0.1,
    )
    blur = keras.layers.RandomGaussianBlur(
        factor=0.5, kernel_size=size // 20 * 2 + 1, sigma=1.0, value_range=(0, 1)
    )
    gray = keras.layers.RandomGrayscale(0.2)
    rand_augment = keras.layers.RandAugment(value_range=(0, 1), num_ops=2, factor=1.0)
    layers += {
        "crop_flip": [],
        "sim_augment": [jitter, gray, *([blur] if size > 32 else [])],
        "rand_augment": [rand_augment],
        "stacked_rand_augment": [jitter, rand_augment, gray, blur],
    }[policy]

    def views(indices):
        batch = tf.gather(held, tf.repeat(indices, 2))
        if jpeg:
            decode = lambda record: tf.image.resize(  # noqa: E731
                tf.io.decode_jpeg(record, channels=3), [256, 256]
            )
            batch = tf.map_fn(decode, batch, fn_output_signature=tf.float32)
        batch = tf.cast(batch, tf.float32) / 255.0
        for layer in layers:
            batch = layer(batch, training=True)
        return batch, indices

    held = tf.constant(images)
    indices = tf.data.Dataset.range(len(images)).repeat().shuffle(len(images), seed=0)
    batches = indices.batch(_BATCH_SIZE.value, drop_remainder=True)
    return _on_one_thread(batches.map(views, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE))


def _torchvision(tensors: bool) -> Callable:
    def batches(policy: str, size: int, images, jpeg: bool) -> Batches:
        import torch
        from PIL import Image
        from torchvision.transforms import v2

        torch.set_num_threads(1)
        jitter = v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8)
        blur = v2.RandomApply([v2.GaussianBlur(size // 20 * 2 + 1, (0.1, 2.0))], 0.5)
        gray = v2.RandomGrayscale(0.2)
        rand_augment = v2.RandAugment(2, 30)
        steps = {
            "crop_flip": [],
            "sim_augment": [jitter, gray, *([blur] if size > 32 else [])],
            "auto_augment": [v2.AutoAugment()],
            "rand_augment": [rand_augment],
            "stacked_rand_augment": [jitter, rand_augment, gray, blur],
        }[policy]
        transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, (0.2, 1.0), antialias=False),
                v2.RandomHorizontalFlip(),
                *steps,
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

        def read(image):
            if jpeg:
                return Image.open(io.BytesIO(image)).convert("RGB")
            if tensors:
                return torch.from_numpy(image).permute(2, 0, 1).contiguous()
            return Image.fromarray(image)

        index = 0
        while True:
            views = []
            for _ in range(_BATCH_SIZE.value):
                image = images[index % len(images)]
                views.append(torch.stack([transform(read(image)) for _ in range(2)]))
                index += 1
            yield torch.stack(views).numpy()

    return batches


PIPELINES: dict[str, Callable] = {
    "supcon_tf": _ours,
    "Keras layers": _keras,
    "torchvision, Pillow": _torchvision(tensors=False),
    "torchvision, tensors": _torchvision(tensors=True),
}


def _can(pipeline: str, policy: str, jpeg: bool) -> bool:
    if "torchvision" in pipeline:
        available = importlib.util.find_spec("torchvision") is not None
        return available and not (jpeg and "tensors" in pipeline)
    return not (pipeline.startswith("Keras") and policy == "auto_augment")


def _rate(batches: Batches) -> float:
    """Returns views per second of processor time, summed over all threads."""
    views_of = lambda batch: batch.size // batch.shape[-1] // (batch.shape[-2] * batch.shape[-3])  # noqa: E731
    for _ in range(2):
        views = views_of(next(batches))
    start, count = time.process_time(), 0
    while count < 3 or time.process_time() < start + _SECONDS.value:
        next(batches)
        count += 1
    return count * views / (time.process_time() - start)


def measure() -> list[dict]:
    """Measures every policy and returns one record per policy, size and pipeline."""
    from experiments.lib import photos

    count = 2 * _BATCH_SIZE.value
    sources = [(size, False) for size in _SIZES.value] + [(224, True)] * _JPEG.value
    records = []
    for size, jpeg in sources:
        side = size if size <= 32 else size * 8 // 7
        images = photos.jpegs(count) if jpeg else photos.photos(count, side, side)
        for policy in _POLICIES.value:
            pipelines = [pipeline for pipeline in PIPELINES if _can(pipeline, policy, jpeg)]
            rates = collections.defaultdict(list)
            for _ in range(_ROUNDS.value):
                for pipeline in pipelines:
                    rates[pipeline].append(_rate(PIPELINES[pipeline](policy, size, images, jpeg)))
            for pipeline in pipelines:
                record = {"policy": policy, "size": size, "jpeg": jpeg, "pipeline": pipeline}
                records.append({**record, "views_per_second": statistics.median(rates[pipeline])})
            _print_row(records[-len(pipelines) :])
    return records


def _print_row(records: list[dict]) -> None:
    first = records[0]
    by_pipeline = {record["pipeline"]: f"{record['views_per_second']:,.0f}" for record in records}
    name = f"{first['policy']}, {first['size']} pixels" + ", JPEG" * first["jpeg"]
    cells = " | ".join(by_pipeline.get(pipeline, "-") for pipeline in PIPELINES)
    print(f"| {name} | {cells} |", flush=True)


def main(_) -> None:
    """Measures, prints and writes."""
    output_dir = files.make_output_dir(_OUTPUT_DIR.value)
    if _PIN.value:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"| views per second | {' | '.join(PIPELINES)} |\n|{'---|' * (1 + len(PIPELINES))}")
    records = measure()
    if output_dir is not None:
        report = {
            "batch_size": _BATCH_SIZE.value,
            "machine": platform.machine(),
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "measurements": records,
        }
        files.write_json(output_dir / "input_pipeline.json", report)


if __name__ == "__main__":
    app.run(main)
