"""Measures time and memory of `load_folder` with a million files.

    python -m experiments.benchmarks.folder_opening

writes class directories of hard links to small images, opens them in fresh processes without a
manifest and with one, and prints the seconds and the peak memory of each process. The files are
deleted at the end. Expected with a million files on a local disk: less than 10 seconds with the
manifest of an earlier call, and less than 1.5 GB, of which the imports take 0.7 GB.
"""

import os
import pathlib
import resource
import tempfile
import time
from concurrent import futures
from multiprocessing import get_context

from absl import flags

from experiments.lib.command_line import check_arguments, run

_CLASSES = flags.DEFINE_integer("classes", 1000, "Number of classes.", lower_bound=2)
_IMAGES = flags.DEFINE_integer("images", 1000, "Number of images per class.", lower_bound=1)


def write_folder(root: pathlib.Path, classes: int, images: int) -> None:
    """Writes class directories. The images of a class are links to a single file."""
    import tensorflow as tf

    png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
    for label in range(classes):
        directory = root / f"class_{label:05d}"
        directory.mkdir(parents=True)
        first = directory / "product_00000000.png"
        first.write_bytes(png)
        for image in range(1, images):
            os.link(first, directory / f"product_{image:08d}.png")


def measure(root: pathlib.Path, manifest: pathlib.Path | None) -> tuple[float, float, int]:
    """Returns seconds, peak memory in GB, and the number of images of a call of `load_folder`."""
    from supcon_tf import data

    start = time.perf_counter()
    images = data.load_folder(root, manifest=manifest, verify=False)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, len(images)


def main(argv: list[str]) -> None:
    """Prints a table."""
    check_arguments(argv)
    with tempfile.TemporaryDirectory() as directory:
        root, manifest = pathlib.Path(directory, "images"), pathlib.Path(directory, "manifest")
        write_folder(root, _CLASSES.value, _IMAGES.value)
        time.sleep(3)  # more recent directories are listed again
        print("| call | images | seconds | peak memory |\n|---|---|---|---|")
        calls = {"without a manifest": None, "first": manifest, "second": manifest}
        for call, file in calls.items():
            # A process of its own, whose peak memory is that of the call.
            with futures.ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                seconds, peak, images = pool.submit(measure, root, file).result()
            print(f"| {call} | {images:,} | {seconds:.1f} | {peak:.2f} GB |", flush=True)


if __name__ == "__main__":
    run(main)
