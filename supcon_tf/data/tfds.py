"""Image classification data sets of TensorFlow Datasets."""

import os

import numpy as np

from supcon_tf._requirements import require_extra
from supcon_tf.data.sources import ArrayImages, EncodedImages, ImageSource


def load_tfds(name: str, data_dir: str | os.PathLike[str], split: str = "train") -> ImageSource:
    """Loads a split of an image classification data set that is prepared in `data_dir`.

    Nothing is downloaded. All images are held in memory: decoded if they have one size, as encoded
    bytes otherwise.

    Examples:
        >>> import supcon_tf
        >>> images = supcon_tf.data.load_tfds("cifar10", "data")  # doctest: +SKIP

    Args:
        name: name of the data set, such as `"cifar10"`.
        data_dir: the directory in which TensorFlow Datasets has prepared the data set.
        split: a split, or a part of it such as `"train[:90%]"`.

    Returns:
        The images with their integer labels.

    Raises:
        ImportError: if tensorflow-datasets is not installed.
        FileNotFoundError: if the data set is not prepared in `data_dir`.
        ValueError: if the data set does not exist, or it has no image feature `image` or no class
            feature `label`.
    """
    with require_extra("load_tfds", "tensorflow-datasets"):
        import tensorflow_datasets as tfds
    if not os.path.isdir(data_dir):
        raise FileNotFoundError(
            f"`data_dir` must be an existing directory. Received: data_dir={str(data_dir)!r}"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except ValueError as error:
        raise ValueError(
            "`name` must be the name of a data set of TensorFlow Datasets, such as 'cifar10' "
            "(https://www.tensorflow.org/datasets/catalog/overview), or of one that is prepared in "
            f"`data_dir`. Received: {name!r} ({error})"
        ) from error
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"`data_dir` must contain the prepared data set {name!r}. Run `tfds build {name} "
            f"--data_dir {data_dir}` first. Received: data_dir={str(data_dir)!r}"
        )
    features = dict(builder.info.features.items())
    image, label = features.get("image"), features.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        raise ValueError(
            f"{name!r} must have an image feature `image` and a class feature `label`. "
            f"Received: {list(features)}"
        )
    fixed_size = None not in image.shape
    dataset = builder.as_dataset(
        split=split,
        decoders=None if fixed_size else {"image": tfds.decode.SkipDecoding()},
        shuffle_files=False,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    examples = [(example["image"], example["label"]) for example in tfds.as_numpy(dataset)]
    images = [image for image, _ in examples]
    labels = np.array([label for _, label in examples], np.int64)
    if fixed_size:
        return ArrayImages(np.stack(images), labels, label.names)
    return EncodedImages(images, labels, label.names, channels=image.shape[-1] or 3)
