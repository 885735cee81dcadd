"""Loads data sets by name."""

import copy
import functools
import pathlib
import re
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from supcon_tf import data
from supcon_tf.data.class_names import check_same_classes
from supcon_tf.data.folder import TEST_DIRECTORIES, find_class_names

# Loads the split "train" or "test".
LoadSplit = Callable[[str], data.ImageSource]

# Names that the files of a data set do not hold.
_CLASS_NAMES = {
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
}
_DECODED_BYTES = 2**30  # Images that need less are decoded once, into memory.
# The names of the test split in TensorFlow Datasets.
_TFDS_TEST = {"imagenet2012": "validation"}


def load(name: str, data_dir: str, split: str) -> data.ImageSource:
    """Loads a split of a data set.

    Args:
        name: `"digits"`, which scikit-learn provides, or the name of a data set in `data_dir`. A
            data set that TensorFlow Datasets prepared has its name there; a directory of your own
            images can have any name.
        data_dir: a directory with `train` and `test` (or `val`), each with one directory of images
            per class; or with MNIST-style idx files; or the `data_dir` of TensorFlow Datasets. Of
            a directory without `test` or `val`, a fifth of the images in `train` is the test set.
        split: `"train"` or `"test"`.

    Returns:
        The images. Class ids mean the same classes in both splits.

    Raises:
        ValueError: if `data_dir` is required and empty, or given for the digits; or if both splits
            are directories of classes and differ in them.
        FileNotFoundError: if the images do not exist.
    """
    return _open(name, data_dir)(split)


def _open(name: str, data_dir: str) -> LoadSplit:
    """Finds a data set, and returns the function that loads a split of it."""
    if name == "digits":
        if data_dir:
            raise ValueError(
                "`data_dir` must be empty for the digits, which scikit-learn provides. To use the "
                "images in `data_dir`, set the name of the data set to another one, for example "
                f"--config.dataset=mine in a training. Received: data_dir={data_dir!r}"
            )
        return data.load_digits
    if not data_dir:
        raise ValueError(
            f"`data_dir` must be the directory of {name!r}; only the digits need none. Received: ''"
        )
    directory = pathlib.Path(data_dir)
    if not directory.is_dir():
        raise FileNotFoundError(f"`data_dir` must be an existing directory. Received: {data_dir!r}")
    if (directory / "train").is_dir():
        # Decoding the 1.3 million files of ImageNet to verify them would take an hour.
        return _open_folders(directory, verify=name != "imagenet2012")
    if any(directory.glob("*-idx3-ubyte*")):
        return functools.partial(_load_idx, name, directory)
    if (directory / re.split("[/:]", name)[0]).is_dir():
        return functools.partial(_load_tfds, name, directory)
    raise FileNotFoundError(
        "`data_dir` must contain a directory `train`, and optionally `test`, each with one "
        f"directory of images per class; or MNIST-style idx files; or {name!r} as `tfds build "
        f"{name} --data_dir {data_dir}` prepares it. Received: {data_dir!r} with "
        f"{_describe_contents(directory)}"
    )


def _open_folders(directory: pathlib.Path, *, verify: bool) -> LoadSplit:
    train = directory / "train"
    tests = [directory / part for part in TEST_DIRECTORIES if (directory / part).is_dir()]
    if not tests:
        print(f"{directory} has no test/: a fifth of the images of each class in train/ is tested")
        return lambda split: _split_by_class(data.load_folder(train, verify=verify), split)

    def load_split(split: str) -> data.ImageSource:
        if split == "train":
            return data.load_folder(train, verify=verify)
        names = find_class_names(train)
        return data.load_folder(tests[0], class_names=names, verify=verify)

    return load_split


def _split_by_class(images: data.ImageSource, split: str) -> data.ImageSource:
    """Returns four fifths of the images of each class, or the rest, always the same ones."""
    rank, counts = _rank_within_class(images.class_ids)
    single = [images.class_names[label] for label in images.class_ids[counts == 1]]
    if single:
        raise ValueError(
            "Without a directory `test`, each class must have at least 2 images in `train`. "
            f"Received: 1 image of the classes {single}"
        )
    tested = rank < np.maximum(1, np.round(counts / 5))
    return images.take(np.flatnonzero(tested if split == "test" else ~tested))


def _load_idx(name: str, directory: pathlib.Path, split: str) -> data.ImageSource:
    # The files do not hold the number of classes, and a split can lack the last ones.
    images = {part: data.load_idx(directory, part) for part in ("train", "test")}
    names = max((each.class_names for each in images.values()), key=len)
    images[split].class_names = _CLASS_NAMES.get(name, names)
    return images[split]


def _load_tfds(name: str, directory: pathlib.Path, split: str) -> data.ImageSource:
    part = _TFDS_TEST.get(name, "test") if split == "test" else split
    images = data.load_tfds(name, directory, part)
    images.class_names = _CLASS_NAMES.get(name, images.class_names)
    return images


def _describe_contents(directory: pathlib.Path) -> str:
    paths = list(directory.iterdir())
    directories = sorted(path.name for path in paths if path.is_dir())
    images = sum(path.suffix.lower() in data.IMAGE_SUFFIXES for path in paths)
    more = ", ..." if len(directories) > 10 else ""
    return f"{images} images and the directories [{', '.join(directories[:10])}{more}]"


def load_train_and_test(
    name: str, data_dir: str, train_images: int | None = None, hold_out: int = 0
) -> tuple[data.ImageSource, data.ImageSource]:
    """Loads the training images and the test images.

    Args:
        name: as in `load`.
        data_dir: as in `load`.
        train_images: the maximum number of training images; `None` for all. Takes the first ones,
            or every n-th one of a source that is sorted by class.
        hold_out: the number of training images to test on instead of the test set, for the choice
            of settings; 0 for the test set.

    Returns:
        Two sources without a common image.

    Raises:
        ValueError: if `hold_out` leaves no training images, or the classes of the two splits
            differ.
    """
    load_split = _open(name, data_dir)
    train = load_split("train")
    if hold_out >= len(train):
        raise ValueError(
            f"`hold_out` must be below the number of training images. Received: {hold_out} of "
            f"{len(train)}"
        )
    if hold_out:
        order = np.random.default_rng(0).permutation(len(train))
        train, test = train.take(order[hold_out:]), train.take(order[:hold_out])
    else:
        test = load_split("test")
        check_same_classes(f"The test images of {name!r}", test.class_names, train.class_names)
    if train_images is not None and train_images < len(train):
        sorted_by_class = np.all(np.diff(train.class_ids) >= 0)
        spread = len(train) if sorted_by_class else train_images
        train = train.take(np.arange(train_images) * spread // train_images)
    return train, test


def load_of_recipe(config: ConfigDict) -> tuple[data.ImageSource, data.ImageSource]:
    """Loads the training images of a recipe, as it changes them, and the test images.

    Raises:
        ValueError: as in `load_train_and_test`, `add_label_noise` and `make_long_tailed`.
    """
    train, test = load_train_and_test(
        config.dataset, config.data_dir, config.train_images, config.hold_out
    )
    train = make_long_tailed(train, config.imbalance)
    # The test images are read once.
    return decode_small_images(add_label_noise(train, config.label_noise)), test


def decode_small_images(images: data.ImageSource) -> data.ImageSource:
    """Decodes images into memory if they have the same size and need up to 1 GiB.

    Decoding takes most of the time of the views of small images.
    """
    (first, *_) = data.decode_images(images.take(np.array([0]))).images
    if first.nbytes * len(images) > _DECODED_BYTES:
        return images
    try:
        return data.decode_images(images)
    except ValueError:  # The images have different sizes.
        return images


def with_channels(images: data.ImageSource, channels: int) -> data.ImageSource:
    """Repeats the channel of gray images, for an encoder of color images.

    Args:
        images: images in memory, or images with the right number of channels.
        channels: the number of channels that the encoder takes.

    Returns:
        The images, unchanged unless they are gray images in memory.
    """
    if images.channels != 1 or channels == 1 or not isinstance(images, data.ArrayImages):
        return images
    repeated = np.repeat(images.images, channels, axis=-1)
    return data.ArrayImages(repeated, images.labels, images.class_names)


def hide_labels(images: data.ImageSource, labeled_fraction: float) -> data.ImageSource:
    """Replaces the labels of some images by -1, which marks an unlabeled image.

    Args:
        images: labeled images.
        labeled_fraction: the fraction of each class that keeps its labels, from 0 to 1, rounded to
            whole images. The choice is always the same.

    Returns:
        The same images with the new labels.

    Raises:
        ValueError: if `labeled_fraction` is out of range, or labels are distributions.
    """
    if not 0 <= labeled_fraction <= 1:
        raise ValueError(f"`labeled_fraction` must be from 0 to 1. Received: {labeled_fraction!r}")
    rank, counts = _rank_within_class(images.class_ids)
    hidden = rank >= np.round(labeled_fraction * counts)
    partly_labeled = copy.copy(images)
    partly_labeled.labels = images.labels.copy()
    partly_labeled.labels[hidden] = -1
    return partly_labeled


def add_label_noise(images: data.ImageSource, fraction: float) -> data.ImageSource:
    """Gives some images the label of another class (symmetric label noise).

    Args:
        images: labeled images.
        fraction: the fraction of each class that gets a wrong label, from 0 to 1, rounded to whole
            images. Every other class is equally likely. The choice is always the same.

    Returns:
        The same images with the new labels.

    Raises:
        ValueError: if `fraction` is out of range, there is a single class, or labels are
            distributions.
    """
    num_classes = len(images.class_names)
    if not 0 <= fraction <= 1 or (fraction and num_classes == 1):
        raise ValueError(
            "`label_noise` must be from 0 to 1, and 0 for a single class. "
            f"Received: {fraction!r} for {num_classes} classes"
        )
    rank, counts = _rank_within_class(images.class_ids)
    wrong = (rank < np.round(fraction * counts)) & (images.labels >= 0)
    noisy = copy.copy(images)
    shifts = np.random.default_rng(1).integers(1, max(num_classes, 2), len(images))
    noisy.labels = np.where(wrong, (images.labels + shifts) % num_classes, images.labels)
    return noisy


def make_long_tailed(images: data.ImageSource, imbalance: float) -> data.ImageSource:
    r"""Keeps fewer images of later classes, so that class sizes decrease exponentially.

    Of the class $c$ of $C$ classes, $n_c \, \rho^{-c / (C - 1)}$ images remain, where $n_c$ is the
    size of the class and $\rho$ is the imbalance.

    Reference: Cui et al., "Class-Balanced Loss", 2019 (https://arxiv.org/abs/1901.05555), for
    long-tailed CIFAR.

    Args:
        images: labeled images.
        imbalance: $\rho$, the size of the first class relative to the last one, at least 1. 1 keeps
            all images. The choice is always the same.

    Returns:
        The remaining images, in their order.

    Raises:
        ValueError: if `imbalance` is below 1, or leaves a class without images, or labels are
            distributions.
    """
    if not imbalance >= 1:
        raise ValueError(f"`imbalance` must be at least 1. Received: {imbalance!r}")
    if imbalance == 1:
        return images
    rank, counts = _rank_within_class(images.class_ids)
    exponents = images.labels / max(1, len(images.class_names) - 1)
    kept = rank < np.floor(counts * imbalance**-exponents)
    missing = set(images.labels.tolist()) - set(images.labels[kept].tolist())
    if missing:
        raise ValueError(
            f"`imbalance` must leave at least one image of each class. Received: {imbalance!r}, "
            f"which leaves none of {images.class_names[min(missing)]!r}"
        )
    return images.take(np.flatnonzero(kept))


def take_labeled(images: data.ImageSource) -> data.ImageSource:
    """Returns the images with a label, which is not -1.

    Raises:
        ValueError: if no image has a label, or labels are distributions.
    """
    labeled = np.flatnonzero(images.class_ids >= 0)
    if not len(labeled):
        raise ValueError(
            "Without the unlabeled images, `labeled_fraction` must leave the label of at least one "
            f"image. Received: {len(images)} images, all without a label"
        )
    return images if len(labeled) == len(images) else images.take(labeled)


def _rank_within_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the images of each class in a random order that is always the same.

    Args:
        labels: `[images]` class ids.

    Returns:
        The number of each image, from 0, and the size of its class, both `[images]`.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    _, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    ranks, sizes = np.empty([2, len(labels)], int)
    ranks[order] = np.arange(len(labels)) - np.repeat(first, counts)
    sizes[order] = np.repeat(counts, counts)
    return ranks, sizes
