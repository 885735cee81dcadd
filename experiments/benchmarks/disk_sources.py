"""Measures the input of a training from images in memory and on disk.

    python -m experiments.benchmarks.disk_sources --directory=runs/disk_sources

writes a data set of JPEGs of 500 x 375 pixels (about 74 kB each) once, as a directory per class, as
TFRecord and as ArrayRecord files of TensorFlow Datasets. Then it measures on one processor core, in
rounds in which the sources alternate:

- images per second that are read, decoded and converted to two AutoAugment views of 224 pixels. The
  source `tfds` is `tfds.as_dataset` with the same decoding and the same views;
- images per second that are only read in random order. The source `grain` is the data loader of
  that name, if it is installed, on the same ArrayRecord files;
- images per second that one thread reads from files that the operating system has removed from its
  cache, in random order or, with `in blocks`, 64 adjacent images at a time;
- with `--memory`, the growth of the memory of a process that takes an epoch of views of 32 pixels,
  at its half and at its end, compared to a process that repeats a single batch. `in blocks` has a
  shuffle buffer of 1,024 images.

Otherwise the files are in the cache of the operating system unless they exceed its memory.

Expected: the sources on disk have at least 0.9 times the rate of those in memory, and at least the
rate of `tfds`. An epoch takes less than 100 MB more than a repeated batch, and less than 300 MB
with a shuffle buffer. Takes about ten minutes with 2,000 images and half an hour with 50,000.
"""

import functools
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from absl import app, flags

from experiments.lib import files
from experiments.lib.tables import markdown_table

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_DIRECTORY = flags.DEFINE_string("directory", "runs/disk_sources", "The directory of the data set.")
_IMAGES = flags.DEFINE_integer("images", 2000, "Number of images.", lower_bound=128)
_CLASSES = flags.DEFINE_integer("classes", 100, "Number of classes.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 20, "Batches of a source in each round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Number of rounds.", lower_bound=1)
_MEMORY = flags.DEFINE_bool("memory", False, "Whether to measure the memory of an epoch.")
_MEASURE_MEMORY = flags.DEFINE_string(
    "measure_memory", None, "Internal: a source whose growth of memory is printed."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "The directory for disk_sources.json.")

_BATCH_SIZE = 64
_STORED = ("folder", "tfrecord", "array_record")
_IN_BLOCKS = " in blocks"
_SHUFFLE_BUFFER = 1024


def main(_) -> None:
    """Writes the data set, measures all sources and prints tables."""
    directory = pathlib.Path(_DIRECTORY.value)
    if _MEASURE_MEMORY.value:
        _print_memory(_MEASURE_MEMORY.value, directory)
        return
    output_dir = files.make_output_dir(_OUTPUT_DIR.value)
    for name in _STORED:
        _write(name, directory)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = {
        "views": _rates({name: _views(name, directory) for name in ("memory", *_STORED, "tfds")}),
        "reads": _rates(_readers(directory)),
        "uncached": _uncached_rates(directory),
    }
    if _MEMORY.value:
        names = ("repeated", *_STORED, f"tfrecord{_IN_BLOCKS}")
        results["memory"] = {name: _memory(name) for name in names}
    for values in results.values():
        print(f"\n{table(values)}", end="")
    if output_dir is not None:
        about = {"images": _IMAGES.value, "classes": _CLASSES.value}
        files.write_json(output_dir / "disk_sources.json", about | results)


def table(values: Mapping[str, Mapping[str, float]]) -> str:
    """Writes a table of the values of each source."""
    columns = next(iter(values.values()))
    rows = ([name, *map("{:,.0f}".format, row.values())] for name, row in values.items())
    return markdown_table(["source", *columns], rows)


def _write(name: str, directory: pathlib.Path) -> None:
    """Writes the data set in one format unless it exists."""
    from experiments.lib import photos

    count = _IMAGES.value, _CLASSES.value
    if name == "folder":
        photos.prepare_folder(directory / name, *count)
    else:
        photos.prepare_tfds(directory / name, name, *count)


def _source(name: str, directory: pathlib.Path) -> Any:
    """Opens the data set in one format; `"memory"` holds the files of the TFRecords."""
    from supcon_tf import data

    if name == "folder":
        return data.load_folder(directory / name, verify=False)
    stored = "tfrecord" if name == "memory" else name
    return data.load_tfds("photos", directory / stored, in_memory=name == "memory")


def _views(name: str, directory: pathlib.Path) -> Callable[[], None]:
    """Returns a function that takes batches of views."""
    from supcon_tf import augmentation, data

    transform = augmentation.auto_augment(224, scale=(0.2, 1.0))
    if name == "tfds":
        batches = _tfds_batches(directory, transform)
    else:
        views = data.multi_view_batches(_source(name, directory), transform, batch_size=_BATCH_SIZE)
        batches = data.batches_from_step(views, 0)
    return functools.partial(_take, batches)


def _tfds_batches(directory: pathlib.Path, transform: Any) -> Any:
    """Reads with TensorFlow Datasets, and decodes and transforms like this library."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from supcon_tf.data.decoding import PixelFormat
    from supcon_tf.data.sources import views_of_encoded_images

    builder = tfds.builder("photos", data_dir=directory / "tfrecord")
    dataset = builder.as_dataset(
        split="train", decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=True
    )

    def views(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        draws = tf.random.uniform([_BATCH_SIZE, 2, transform.num_draws])
        return views_of_encoded_images(example["image"], draws, transform, PixelFormat()), example[
            "label"
        ]

    shuffled = dataset.shuffle(1000).repeat().batch(_BATCH_SIZE, drop_remainder=True)
    return shuffled.map(views, tf.data.AUTOTUNE).prefetch(1)


def _take(batches: Any) -> None:
    """Takes batches with a new iterator, so that none is prepared while others are measured."""
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    for views, _ in batches.repeat().take(_BATCHES.value).with_options(options):
        views.numpy()


def _read_functions(directory: pathlib.Path) -> dict[str, Callable[[Any], Any]]:
    """Returns a function from indices to encoded images for each stored data set."""
    import tensorflow as tf

    folder = _source("folder", directory)
    read_file = tf.function(lambda paths: tf.map_fn(tf.io.read_file, paths))
    return {
        "folder": lambda indices: read_file(folder.records[indices]).numpy(),
        **{name: _source(name, directory)._read for name in ("tfrecord", "array_record")},
    }


def _readers(directory: pathlib.Path) -> dict[str, Callable[[], None]]:
    """Returns functions that read batches of encoded images in random order."""
    import importlib.util

    readers: dict[str, Callable[[], None]] = {
        name: functools.partial(_read, each, in_blocks=False)
        for name, each in _read_functions(directory).items()
    }
    if importlib.util.find_spec("grain"):
        readers["grain"] = functools.partial(_read_with_grain, directory)
    return readers


def _read(read: Callable[[Any], Any], in_blocks: bool) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    if in_blocks:
        blocks = rng.permutation(_IMAGES.value // _BATCH_SIZE)[: _BATCHES.value]
        batches = blocks[:, None] * _BATCH_SIZE + np.arange(_BATCH_SIZE)
    else:
        batches = rng.permutation(_IMAGES.value)[: _BATCHES.value * _BATCH_SIZE]
        batches = np.array_split(batches, -(-len(batches) // _BATCH_SIZE))
    for batch in batches:
        read(np.sort(batch))


def _uncached_rates(directory: pathlib.Path) -> dict[str, dict[str, float]]:
    """Measures images per second that are read from the disk, in rounds as `_rates`."""
    functions = _read_functions(directory)
    rates: dict[str, list[float]] = {}
    for _ in range(_ROUNDS.value):
        for name, read in functions.items():
            for in_blocks in (False, True):
                _remove_from_cache(directory / name)
                start = time.perf_counter()
                _read(read, in_blocks)
                rate = _BATCHES.value * _BATCH_SIZE / (time.perf_counter() - start)
                rates.setdefault(f"{name}{_IN_BLOCKS if in_blocks else ''}", []).append(rate)
    return {name: {"images per second": statistics.median(x)} for name, x in rates.items()}


def _remove_from_cache(directory: pathlib.Path) -> None:
    """Asks the operating system to forget what is in the files of a directory."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # Only what is on the disk can be removed.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_with_grain(directory: pathlib.Path) -> None:
    import grain
    import tensorflow_datasets as tfds

    builder = tfds.builder("photos", data_dir=directory / "array_record")
    source = builder.as_data_source("train", decoders={"image": tfds.decode.SkipDecoding()})
    dataset = grain.MapDataset.source(source).shuffle(seed=0).repeat()
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=_BATCH_SIZE)
    iterator = iter(dataset.map(lambda example: example["image"]).to_iter_dataset(options))
    for _ in range(_BATCHES.value * _BATCH_SIZE):
        next(iterator)


def _rates(functions: dict[str, Callable[[], None]]) -> dict[str, dict[str, float]]:
    """Measures images per second of processor time, in rounds in which the functions alternate."""
    rates: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(_ROUNDS.value):
        for name, function in functions.items():
            start = time.process_time()
            function()
            images = _BATCHES.value * _BATCH_SIZE
            rates[name].append(images / (time.process_time() - start))
    return {name: {"images per second": statistics.median(x)} for name, x in rates.items()}


def _memory(name: str) -> dict[str, float]:
    """Measures the memory of an epoch in a process of its own, in MB."""
    command = [sys.executable, "-m", "experiments.benchmarks.disk_sources"]
    arguments = [f"--measure_memory={name}", f"--directory={_DIRECTORY.value}"]
    printed = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    half, end = map(float, printed.stdout.split()[-2:])
    return {"MB at half": half, "MB at the end": end}


def _print_memory(name: str, directory: pathlib.Path) -> None:
    """Prints the growth of the memory since before the data set is opened."""
    from supcon_tf import augmentation, data

    data.load_digits("test")  # What all sources load is there before.
    before = _resident_bytes()
    stored = "folder" if name == "repeated" else name.removesuffix(_IN_BLOCKS)
    batches = data.multi_view_batches(
        _source(stored, directory),
        augmentation.crop_flip(32, scale=(0.2, 1.0)),
        batch_size=_BATCH_SIZE,
        shuffle_buffer=_SHUFFLE_BUFFER if name.endswith(_IN_BLOCKS) else None,
    )
    steps = len(batches)
    if name == "repeated":
        batches = batches.take(1).cache().repeat(steps)
    resident = [_resident_bytes() - before for _ in batches]
    print(*(size / 1e6 for size in (resident[steps // 2], resident[-1])))


def _resident_bytes() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    app.run(main)
