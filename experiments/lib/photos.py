"""Random images that take as long to decode as photographs."""

import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf._files import replace_directory
from supcon_tf._requirements import require_extra


def photos(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Creates smooth random images with a little noise, `[count, height, width, 3]`."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-0.2, 1.2, [count, height // 12 + 2, width // 12 + 2, 3])
    smooth = tf.image.resize(coarse, [height, width], "bicubic").numpy()
    noisy = smooth + rng.normal(0, 0.02, smooth.shape)
    return (255 * noisy.clip(0, 1)).astype(np.uint8)


# Further images of a data set repeat these, because creating an image takes much longer than
# reading it.
_DIFFERENT_IMAGES = 2_500
_BLOCK = 100


def jpegs(count: int, seed: int = 0) -> list[bytes]:
    """Creates JPEGs of 500 x 375 pixels, about 74 kB each."""
    return [tf.io.encode_jpeg(x, quality=92).numpy() for x in photos(count, 375, 500, seed)]


def _labeled_jpegs(count: int, classes: int) -> Iterator[tuple[str, bytes, int]]:
    """Yields the names, the bytes and the labels of JPEGs."""
    block_of = functools.cache(lambda first: jpegs(_BLOCK, seed=first))
    for i in range(count):
        block = block_of(i % _DIFFERENT_IMAGES // _BLOCK * _BLOCK)
        yield f"{i:07d}.jpg", block[i % _BLOCK], i % classes


def _class_name(label: int) -> str:
    """Returns the name of a class, sorted like its id."""
    return f"class_{label:04d}"


def prepare_folder(directory: pathlib.Path, count: int, classes: int) -> None:
    """Writes JPEGs to a directory per class unless it exists."""

    def write(temporary: pathlib.Path) -> None:
        for file, jpeg, label in _labeled_jpegs(count, classes):
            path = temporary / _class_name(label) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)

    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        replace_directory(directory, write)


def prepare_tfds(directory: pathlib.Path, file_format: str, count: int, classes: int) -> Any:
    """Writes JPEGs as a data set of TensorFlow Datasets unless it exists, and returns its builder.

    Args:
        directory: the directory that gets the data set `photos`.
        file_format: `"tfrecord"` or `"array_record"`.
        count: number of images.
        classes: number of classes.
    """
    with require_extra("experiments.benchmarks.disk_sources", "tensorflow-datasets"):
        import tensorflow_datasets as tfds
    directory.mkdir(parents=True, exist_ok=True)
    builder = _builder_class(count, classes)(data_dir=directory, file_format=file_format)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return builder


@functools.cache  # TensorFlow Datasets accepts one class of a name in a process.
def _builder_class(count: int, classes: int) -> Any:
    import tensorflow_datasets as tfds

    class Photos(tfds.core.GeneratorBasedBuilder):
        """Random images with classes."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            names = [_class_name(label) for label in range(classes)]
            features = {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=names),
            }
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[Any]:
            for name, jpeg, label in _labeled_jpegs(count, classes):
                yield name, {"image": jpeg, "label": label}

    return Photos
