"""Corrupts images, and reads corrupted images that TensorFlow Datasets prepared.

This module implements 11 of the 15 corruptions of ImageNet-C. It uses the functions of TensorFlow
Datasets where they agree with the code of the benchmark. The others are omitted:

    motion_blur, snow   they start the program `imagemagick`, which no package installs
    frost               it downloads photographs
    glass_blur          it exchanges single pixels in Python: 2 s for an image of 224 pixels

Reference: Hendrycks and Dietterich, 2019, section 3 (https://arxiv.org/abs/1903.12261); their code
is ImageNet-C/create_c/make_imagenet_c.py of https://github.com/hendrycks/robustness.
"""

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from supcon_tf._requirements import require_extra
from supcon_tf.data import ImageSource, evaluation_batches
from supcon_tf.data.class_names import check_same_classes

with require_extra("experiments.robustness", "tensorflow-datasets"):
    import tensorflow_datasets as tfds

# `(images, labels)`: `[batch, size, size, channels]` float32 in [0, 1] and `[batch]` integers.
NumpyBatches = Iterator[tuple[np.ndarray, np.ndarray]]

NAMES = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "zoom_blur",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
SEVERITIES = (1, 2, 3, 4, 5)

# Corruptions whose lengths are in pixels, for an image with sides of this length.
_IN_PIXELS = ("defocus_blur", "fog", "elastic_transform")
_SIDE = 224
# Fractions of the pixels. TensorFlow Datasets uses the same values, but samples without a seed.
_IMPULSES = (0.03, 0.06, 0.09, 0.17, 0.27)
# Thickness and decay of the fog. TensorFlow Datasets uses the same values, but crops a plasma of
# 512 pixels, which is smoother.
_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
# Factors of the sides. TensorFlow Datasets uses the same values, but resizes bicubically.
_PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
# The corruptions for validation, which are not part of the mean of the benchmark.
_EXTRA = ("gaussian_blur", "saturate", "spatter", "speckle_noise")


def corrupt(image: np.ndarray, name: str, severity: int, seed: Sequence[int]) -> np.ndarray:
    """Corrupts an image as ImageNet-C does.

    The corruptions were designed for sides of 224 pixels. Noise, contrast, brightness and JPEG have
    no lengths, and the lengths of `zoom_blur` and `pixelate` are proportional to the image. For the
    others, a smaller image is enlarged to about 224 pixels by repeating its pixels, corrupted, and
    averaged back: a blur then has the same width relative to the image. No other strength is
    adapted. The result differs from CIFAR-10-C, whose severities are milder.

    Example:
        >>> import numpy as np
        >>> gray = np.full([28, 28, 1], 100, np.uint8)
        >>> corrupt(gray, "brightness", 1, [0])[0, 0]  # brighter by a tenth of 255
        array([126], dtype=uint8)

    Args:
        image: `[height, width, channels]` uint8 with 1 or 3 channels. A gray image is corrupted as
            an RGB image, of which the first channel is returned.
        name: one of `NAMES`.
        severity: from 1 to 5.
        seed: non-negative integers. They, `name` and `severity` determine the random numbers.

    Returns:
        An image of the same shape, uint8.

    Raises:
        ValueError: if an argument is invalid.
        ImportError: if OpenCV or scikit-image is not installed.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != np.uint8:
        raise ValueError(
            "`image` must be uint8 of shape [height, width, 1 or 3]. "
            f"Received: shape={image.shape}, dtype={image.dtype}"
        )
    if severity not in SEVERITIES:
        raise ValueError(f"`severity` must be one of {SEVERITIES}. Received: {severity!r}")
    function = _functions().get(name)
    if function is None:
        raise ValueError(f"`name` must be one of {NAMES}. Received: {name!r}")
    height, width, channels = image.shape
    times = max(1, round(_SIDE / height)) if name in _IN_PIXELS else 1
    enlarged = image.repeat(times, axis=0).repeat(times, axis=1).repeat(3 // channels, axis=2)
    with _seeded([*seed, severity, *name.encode()]):
        corrupted = function(enlarged, severity)
    # At each call, TensorFlow Datasets catches an ImportError of scikit-image. Its traceback is a
    # reference cycle that holds the arrays of the image: 10 MB with `elastic_transform`.
    gc.collect(0)
    blocks = corrupted.reshape(height, times, width, times, 3)[..., :channels]
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def corrupted_batches(
    source: ImageSource,
    name: str | None,
    severity: int,
    *,
    size: int,
    batch_size: int,
    short_side: int | None = None,
    seed: int = 0,
) -> NumpyBatches:
    """Corrupts images batch by batch.

    Args:
        source: the images.
        name: as in `corrupt`; `None` for clean images.
        severity: as in `corrupt`.
        size: side in pixels of the central square, which is cropped before it is corrupted.
        batch_size: number of images in a batch.
        short_side: length in pixels to which the short side of an image is resized before the crop;
            `size` by default.
        seed: the random numbers of an image depend on this seed and on the position in `source`.

    Yields:
        Images and labels in the order of the source.
    """
    position = 0
    for images, labels in evaluation_batches(
        source, size=size, short_side=short_side, batch_size=batch_size
    ):
        pixels = np.rint(255 * images.numpy()).astype(np.uint8)
        if name is not None:
            pixels = np.stack(
                [
                    corrupt(image, name, severity, [seed, position + i])
                    for i, image in enumerate(pixels)
                ]
            )
        position += len(pixels)
        yield pixels / np.float32(255), labels.numpy()


@functools.cache
def _functions() -> dict[str, Callable[[np.ndarray, int], np.ndarray]]:
    """Returns functions that corrupt an image `[height, width, 3]` uint8 with a severity."""
    with require_extra("Corrupting images", "OpenCV and scikit-image", "experiments,robustness"):
        import cv2  # noqa: F401
        from PIL import Image
        from skimage.util import random_noise
    from tensorflow_datasets.image_classification import corruptions

    def impulse_noise(image: np.ndarray, severity: int) -> np.ndarray:
        noise = np.random.randint(2**32, dtype=np.uint32)
        amount = _IMPULSES[severity - 1]
        return np.rint(255 * random_noise(image / 255, "s&p", rng=noise, amount=amount))

    def fog(image: np.ndarray, severity: int) -> np.ndarray:
        thickness, decay = _FOG[severity - 1]
        height, width, _ = image.shape
        side = 2 ** (max(height, width) - 1).bit_length()  # 256 for 224 pixels
        plasma = corruptions.plasma_fractal(side, decay)[:height, :width, None]
        brightest = image.max() / 255
        foggy = (image / 255 + thickness * plasma) * brightest / (brightest + thickness)
        return np.rint(255 * np.clip(foggy, 0, 1))

    def pixelate(image: np.ndarray, severity: int) -> np.ndarray:
        sides = image.shape[1::-1]
        fewer = [max(1, int(side * _PIXELATE[severity - 1])) for side in sides]
        small = Image.fromarray(image).resize(fewer, Image.Resampling.BOX)
        return np.asarray(small.resize(sides, Image.Resampling.BOX))

    functions = {name: getattr(corruptions, name) for name in NAMES}
    return functions | {"impulse_noise": impulse_noise, "fog": fog, "pixelate": pixelate}


@contextlib.contextmanager
def _seeded(seed: Sequence[int]) -> Iterator[None]:
    """Seeds NumPy's global generator, which the corruptions use, and restores its state."""
    state = np.random.get_state()
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))
    try:
        yield
    finally:
        np.random.set_state(state)


def find_prepared(
    name: str, data_dir: str, class_names: Sequence[str]
) -> dict[str, list[tfds.core.DatasetBuilder]]:
    """Finds the corruptions of a data set that TensorFlow Datasets prepared.

    Args:
        name: `"imagenet2012_corrupted"` or `"cifar10_corrupted"`.
        data_dir: the directory of TensorFlow Datasets.
        class_names: the classes of the clean images.

    Returns:
        The data sets of the five severities by the name of the corruption. Includes the
        corruptions of the benchmark of which all severities are prepared.

    Raises:
        FileNotFoundError: if no corruption is prepared.
        ValueError: if the classes of a corruption have other names than those of the clean images.
    """
    found: dict[str, list[tfds.core.DatasetBuilder]] = {}
    for config in tfds.builder_cls(name).BUILDER_CONFIGS:
        corruption = config.name.rpartition("_")[0]
        builder = tfds.builder(f"{name}/{config.name}", data_dir=data_dir)
        if corruption not in _EXTRA and builder.is_prepared():
            names = builder.info.features["label"].names
            if names != [str(number) for number in range(len(names))]:  # cifar10_corrupted
                check_same_classes(f"{name}/{config.name}", names, class_names)
            found.setdefault(corruption, []).append(builder)
    found = {key: builders for key, builders in found.items() if len(builders) == len(SEVERITIES)}
    if not found:
        raise FileNotFoundError(
            f"`data_dir` must contain all severities of a corruption of {name!r}: run `tfds build "
            f"{name} --data_dir {data_dir}`. Received: {data_dir!r}"
        )
    return found


def prepared_batches(
    builder: tfds.core.DatasetBuilder, *, size: int, batch_size: int, images: int | None = None
) -> NumpyBatches:
    """Reads the test images of a prepared data set.

    Args:
        builder: a data set that `find_prepared` returned.
        size: side of the images in pixels. They are not resized, which would change the corruption.
        batch_size: number of images in a batch.
        images: number of images to read, from the first one; `None` for all.

    Yields:
        Images and labels.

    Raises:
        ValueError: if the images have another size.
    """
    shape = builder.info.features["image"].shape
    if shape[:2] != (size, size):
        raise ValueError(
            f"`size` must be the side of the images, of shape {shape}. Received: {size}"
        )
    split = "validation" if builder.name.startswith("imagenet2012") else "test"
    dataset = builder.as_dataset(split=split, as_supervised=True, shuffle_files=False)
    dataset = dataset.take(-1 if images is None else images).batch(batch_size).prefetch(1)
    for pixels, labels in tfds.as_numpy(dataset):
        yield pixels / np.float32(255), labels
