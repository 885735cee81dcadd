"""Loads data sets by name."""

import copy
import pathlib

import numpy as np

from supcon_tf import data

_FASHION_CLASSES = (
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
# The names of the test split in TensorFlow Datasets and in directories.
_TFDS_TEST = {"imagenet2012": "validation"}
_TEST_DIRECTORIES = ("test", "val", "validation")


def load(name: str, data_dir: str, split: str) -> data.ImageSource:
    """Loads a split of a data set.

    Args:
        name: `"digits"`, which scikit-learn provides, or the name of a data set in `data_dir`. A
            data set that TensorFlow Datasets prepared has its name there; a directory of your own
            images can have any name.
        data_dir: a directory with `train` and `test` (or `val`), each with one directory of images
            per class; or with MNIST-style idx files; or the `data_dir` of TensorFlow Datasets.
        split: `"train"` or `"test"`.

    Returns:
        The images.

    Raises:
        ValueError: if `data_dir` is required and empty.
        FileNotFoundError: if the images do not exist.
    """
    if name == "digits":
        return data.load_digits(split)
    if not data_dir:
        raise ValueError(
            f"`data_dir` must be the directory of {name!r}; only the digits need none. Received: ''"
        )
    directory = pathlib.Path(data_dir)
    if not directory.is_dir():
        raise FileNotFoundError(f"`data_dir` must be an existing directory. Received: {data_dir!r}")
    if (directory / "train").is_dir():
        names = ("train",) if split == "train" else _TEST_DIRECTORIES
        for part in names:
            if (directory / part).is_dir():
                # Decoding the 1.3 million files of ImageNet to verify them would take an hour.
                return data.load_folder(directory / part, verify=name != "imagenet2012")
        raise FileNotFoundError(
            f"`data_dir` must contain one of the directories {names}. Received: {data_dir!r}"
        )
    if any(directory.glob("*-idx3-ubyte*")):
        images = data.load_idx(directory, split)
        if name == "fashion_mnist":
            images.class_names = _FASHION_CLASSES
        return images
    return data.load_tfds(
        name, directory, _TFDS_TEST.get(name, "test") if split == "test" else split
    )


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
    train = load(name, data_dir, "train")
    if hold_out >= len(train):
        raise ValueError(
            f"`hold_out` must be below the number of training images. Received: {hold_out} of "
            f"{len(train)}"
        )
    if hold_out:
        order = np.random.default_rng(0).permutation(len(train))
        train, test = train.take(order[hold_out:]), train.take(order[:hold_out])
    else:
        test = load(name, data_dir, "test")
        # Idx files do not hold the number of classes: the test set can lack the last ones.
        if test.class_names != train.class_names[: len(test.class_names)]:
            raise ValueError(
                f"{name!r} must have the same classes in both splits. Received: only in one of "
                f"them {sorted(set(train.class_names) ^ set(test.class_names))}"
            )
    if train_images is not None and train_images < len(train):
        sorted_by_class = np.all(np.diff(train.labels) >= 0)
        spread = len(train) if sorted_by_class else train_images
        train = train.take(np.arange(train_images) * spread // train_images)
    return train, test


def hide_labels(images: data.ImageSource, labeled_fraction: float) -> data.ImageSource:
    """Replaces the labels of some images by -1, which marks an unlabeled image.

    Args:
        images: labeled images.
        labeled_fraction: the fraction of each class that keeps its labels, from 0 to 1, rounded to
            whole images. The choice is always the same.

    Returns:
        The same images with the new labels.

    Raises:
        ValueError: if `labeled_fraction` is out of range.
    """
    if not 0 <= labeled_fraction <= 1:
        raise ValueError(f"`labeled_fraction` must be from 0 to 1. Received: {labeled_fraction!r}")
    # Positions in random order, sorted by class: the first ones of each class keep their labels.
    order = np.random.default_rng(0).permutation(len(images))
    order = order[np.argsort(images.labels[order], kind="stable")]
    _, first, counts = np.unique(images.labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(images)) - np.repeat(first, counts)
    hidden = order[rank >= np.repeat(np.round(labeled_fraction * counts), counts)]
    partly_labeled = copy.copy(images)
    partly_labeled.labels = images.labels.copy()
    partly_labeled.labels[hidden] = -1
    return partly_labeled
