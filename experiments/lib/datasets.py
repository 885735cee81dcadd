"""Labeled images by the name of their data set."""

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
# What the tested part is called, by TensorFlow Datasets and in directories.
_TFDS_TEST = {"imagenet2012": "validation"}
_TEST_DIRECTORIES = ("test", "val", "validation")


def load(name: str, data_dir: str, split: str) -> data.ImageSource:
    """Loads a part of a data set.

    Args:
        name: `"digits"` (scikit-learn's, which need no directory), `"fashion_mnist"`, or any data
            set of images and classes of TensorFlow Datasets. For a directory of one's own any name.
        data_dir: a directory with `train` and `test` (or `val`), each with one directory of images
            per class; or with MNIST-style idx files; or with what TensorFlow Datasets prepared.
        split: `"train"` or `"test"`.

    Returns:
        The images.

    Raises:
        ValueError: if `data_dir` is needed and empty.
        FileNotFoundError: if the images are not there.
    """
    if name == "digits":
        return data.load_digits(split)
    if not data_dir:
        raise ValueError(
            f"`data_dir` must say where {name!r} is: --config.data_dir=DIRECTORY. Received: ''"
        )
    directory = pathlib.Path(data_dir)
    if not directory.is_dir():
        raise FileNotFoundError(f"`data_dir` must exist. Received: data_dir={data_dir!r}")
    if (directory / "train").is_dir():
        names = ("train",) if split == "train" else _TEST_DIRECTORIES
        for part in names:
            if (directory / part).is_dir():
                # To decode the 1.3 million files of ImageNet once more would take an hour.
                return data.load_folder(directory / part, verify=name != "imagenet2012")
        raise FileNotFoundError(
            f"`data_dir` must hold one of the directories {names}. Received: data_dir={data_dir!r}"
        )
    if any(directory.glob("*-idx3-ubyte*")):
        images = data.load_idx(directory, split)
        if name == "fashion_mnist":
            images.class_names = _FASHION_CLASSES
        return images
    return data.load_tfds(
        name, directory, _TFDS_TEST.get(name, "test") if split == "test" else split
    )


def load_both(
    name: str, data_dir: str, train_images: int | None = None, hold_out: int = 0
) -> tuple[data.ImageSource, data.ImageSource]:
    """Loads the images to train on and to test on.

    Args:
        name: as of `load`.
        data_dir: as of `load`.
        train_images: how many images to train on at most, the first ones, or evenly spread over a
            source that is sorted by class; `None` for all.
        hold_out: if above 0, how many training images to test on instead of the test set, which is
            then left alone: for choosing settings.

    Returns:
        Two sources without a common image.

    Raises:
        ValueError: if `hold_out` leaves no images to train on, or a class of the test images is not
            the same of the training images.
    """
    train = load(name, data_dir, "train")
    if hold_out >= len(train):
        raise ValueError(
            f"`hold_out` must leave images to train on. Received: {hold_out} of {len(train)}"
        )
    if hold_out:
        order = np.random.default_rng(0).permutation(len(train))
        train, test = train.take(order[hold_out:]), train.take(order[:hold_out])
    else:
        test = load(name, data_dir, "test")
        # Idx files do not say how many classes there are: the last ones may be missing.
        if test.class_names != train.class_names[: len(test.class_names)]:
            raise ValueError(
                f"{name!r} must have the same classes to train and to test on. Received: only in "
                f"one of them {sorted(set(train.class_names) ^ set(test.class_names))}"
            )
    if train_images is not None and train_images < len(train):
        sorted_by_class = np.all(np.diff(train.labels) >= 0)
        spread = len(train) if sorted_by_class else train_images
        train = train.take(np.arange(train_images) * spread // train_images)
    return train, test


def hide_labels(images: data.ImageSource, labeled_fraction: float) -> data.ImageSource:
    """Takes the labels of some images away.

    Args:
        images: labeled images.
        labeled_fraction: which part of each class keeps its label, from 0 to 1, rounded to whole
            images.

    Returns:
        The same images, of which the others have class id -1: always the same ones.

    Raises:
        ValueError: if `labeled_fraction` is out of range.
    """
    if not 0 <= labeled_fraction <= 1:
        raise ValueError(f"`labeled_fraction` must be from 0 to 1. Received: {labeled_fraction!r}")
    # Positions of a random order by class: the first ones of each class keep their labels.
    order = np.random.default_rng(0).permutation(len(images))
    order = order[np.argsort(images.labels[order], kind="stable")]
    _, first, counts = np.unique(images.labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(images)) - np.repeat(first, counts)
    hidden = order[rank >= np.repeat(np.round(labeled_fraction * counts), counts)]
    partly_labeled = copy.copy(images)
    partly_labeled.labels = images.labels.copy()
    partly_labeled.labels[hidden] = -1
    return partly_labeled
