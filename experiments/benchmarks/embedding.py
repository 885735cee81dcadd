"""Measures time and memory of writing the representations of many images.

    python -m experiments.benchmarks.embedding --images=1000000 --dim=128

generates gray images of 8 x 8 pixels while they are read, encodes them with a small network as
experiments.embed does, and prints the time, the size of the file, and the peak memory of the
process before and after. The peak memory grows by about 30 bytes per image, for copies of its
label. The file is removed.
"""

import pathlib
import resource
import tempfile
import time

from absl import flags

from experiments.lib.command_line import check_arguments, run

_IMAGES = flags.DEFINE_integer("images", 1_000_000, "Number of images.", lower_bound=1)
_DIM = flags.DEFINE_integer("dim", 128, "Dimension of a representation.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images in a batch.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Prints the time and the memory."""
    check_arguments(argv)

    import keras
    import numpy as np
    import tensorflow as tf

    from supcon_tf.commands.representation_file import write_representations

    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(_DIM.value)]
    )
    source = generated_images(_IMAGES.value)
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "representations.npy"
        start = time.perf_counter()
        write_representations(
            path,
            encoder,
            source,
            _BATCH_SIZE.value,
            encoder_digest="",
            description={"labels": source.labels},
            strategy=tf.distribute.get_strategy(),
        )
        seconds = time.perf_counter() - start
        written = np.load(path, mmap_mode="r")
        print(f"{written.shape} representations, {path.stat().st_size / 1e6:.0f} MB")
    print(f"{seconds:.1f} seconds, {_IMAGES.value / seconds:.0f} images per second")
    print(f"peak memory: {before:.0f} MB before, {peak_megabytes():.0f} MB after")


def generated_images(number: int):
    """Returns images of random pixels that are functions of the index of the image."""
    import numpy as np
    import tensorflow as tf

    from supcon_tf._tensorflow_internals import fold_in_each
    from supcon_tf.data import ImageSource

    class GeneratedImages(ImageSource):
        def take(self, indices):
            raise NotImplementedError

        def views(self, indices, draws, transform):
            seeds = fold_in_each(tf.constant([0, 0], tf.int64), indices)
            images = tf.map_fn(
                lambda seed: tf.random.stateless_uniform([8, 8, 1], seed),
                seeds,
                fn_output_signature=tf.float32,
            )
            return transform(images, draws[:, 0])[:, None]

    return GeneratedImages(np.zeros([number], np.int64), ["image"], channels=1)


def peak_megabytes() -> float:
    """Returns the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    run(main)
