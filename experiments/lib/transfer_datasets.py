"""The 12 data sets to which encoders are transferred, with their metrics.

Reference: Kornblith et al., 2019, Table 1 (https://arxiv.org/abs/1805.08974), and Khosla et al.,
2020, Table 4 (https://arxiv.org/abs/2004.11362).
"""

import copy
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from supcon_tf import data, evaluation
from supcon_tf._requirements import require_extra
from supcon_tf.data.class_names import check_same_classes
from supcon_tf.evaluation.inputs import check_matrix

with require_extra("experiments.transfer", "tensorflow-datasets"):
    import tensorflow_datasets as tfds

# Takes scores, targets and, if the data set has them, difficult targets, all `[images, classes]`.
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]


def _top_1(scores: np.ndarray, targets: np.ndarray, difficult: np.ndarray | None) -> float:
    return float(np.mean(_classes(scores) == targets.argmax(axis=1)))


def _mean_per_class(scores: np.ndarray, targets: np.ndarray, difficult: np.ndarray | None) -> float:
    return evaluation.mean_per_class_accuracy(_classes(scores), targets.argmax(axis=1))


def _classes(scores: np.ndarray) -> np.ndarray:
    # `check_matrix` rejects NaN, which `argmax` would return as the largest score.
    return check_matrix("scores", scores).argmax(axis=1)


METRICS: dict[str, Metric] = {
    "top-1": _top_1,
    "mean per class": _mean_per_class,
    "11-point mAP": evaluation.voc_mean_average_precision,
}


@dataclasses.dataclass(frozen=True)
class TransferDataset:
    """A data set.

    Args:
        metric: a name in `METRICS`.
        tfds_name: its name in TensorFlow Datasets; empty if it is not there.
        train: the training split in TensorFlow Datasets.
        test: the test split in TensorFlow Datasets.
        multi_label: whether an image can belong to several classes.
    """

    metric: str = "top-1"
    tfds_name: str = ""
    train: str = "train"
    test: str = "test"
    multi_label: bool = False


_ALL = "train+validation"
DATASETS = {
    "food": TransferDataset(tfds_name="food101", test="validation"),
    "cifar10": TransferDataset(tfds_name="cifar10"),
    "cifar100": TransferDataset(tfds_name="cifar100"),
    "birdsnap": TransferDataset(),
    "sun397": TransferDataset(tfds_name="sun397/standard-part1-120k"),
    "cars": TransferDataset(tfds_name="cars196"),
    "aircraft": TransferDataset("mean per class"),
    "voc2007": TransferDataset("11-point mAP", "voc/2007", _ALL, multi_label=True),
    "dtd": TransferDataset(tfds_name="dtd", train=_ALL),
    "pets": TransferDataset("mean per class", "oxford_iiit_pet"),
    "caltech101": TransferDataset("mean per class", "caltech101"),
    "flowers": TransferDataset("mean per class", "oxford_flowers102", _ALL),
}


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with their targets.

    Args:
        images: the images; the label of an image is its position.
        targets: `[images, classes]` float32, 1 for the classes of an image and 0 otherwise.
        difficult: `[images, classes]` bool, targets that the metric ignores; or `None`.
    """

    images: data.ImageSource
    targets: np.ndarray
    difficult: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> "Split":
        """Returns the images at the given positions."""
        images = _label_by_position(self.images.take(indices))
        difficult = None if self.difficult is None else self.difficult[indices]
        return Split(images, self.targets[indices], difficult)


def check_available(names: list[str], data_dir: str) -> None:
    """Checks the names of data sets, and that their images exist, without reading them.

    Raises:
        ValueError: if a name is not in `DATASETS`.
        FileNotFoundError: if images do not exist.
    """
    unknown = [name for name in names if name not in DATASETS]
    if unknown:
        raise ValueError(f"`datasets` must be in {list(DATASETS)}. Received: {unknown}")
    for name in names:
        tfds_name = DATASETS[name].tfds_name
        if _has_classes(name, data_dir) or (
            tfds_name and tfds.builder(tfds_name, data_dir=data_dir).is_prepared()
        ):
            continue
        alternatives = []
        if not DATASETS[name].multi_label:
            alternatives.append(
                f"{name}/train and {name}/test, each with one directory of images per class"
            )
        if tfds_name:
            alternatives.append(f"the output of `tfds build {tfds_name} --data_dir {data_dir}`")
        raise FileNotFoundError(
            f"`data_dir` must contain {', or '.join(alternatives)}. Received: {data_dir!r}"
        )


def load(name: str, data_dir: str) -> tuple[Split, Split]:
    """Loads a data set from directories of classes, or else from TensorFlow Datasets.

    Args:
        name: a name in `DATASETS`.
        data_dir: a directory with `name/train` and `name/test`, each with one directory of images
            per class; or the `data_dir` of TensorFlow Datasets.

    Returns:
        The training split and the test split.

    Raises:
        ValueError: if the classes of the splits differ.
    """
    entry = DATASETS[name]
    if _has_classes(name, data_dir):
        folder = pathlib.Path(data_dir) / name
        train, test = (data.load_folder(folder / split) for split in ("train", "test"))
    elif entry.multi_label:
        return tuple(
            _load_multi_label(entry, data_dir, split) for split in (entry.train, entry.test)
        )
    else:
        train, test = (
            data.load_tfds(entry.tfds_name, data_dir, split) for split in (entry.train, entry.test)
        )
    check_same_classes(f"The test images of {name!r}", test.class_names, train.class_names)
    return _split_of_class_ids(train), _split_of_class_ids(test)


def _has_classes(name: str, data_dir: str) -> bool:
    """Returns whether a data set is in directories of classes, which have one label per image."""
    folder = pathlib.Path(data_dir) / name
    return not DATASETS[name].multi_label and all(
        (folder / split).is_dir() for split in ("train", "test")
    )


def _split_of_class_ids(source: data.ImageSource) -> Split:
    targets = np.eye(len(source.class_names), dtype=np.float32)[source.class_ids]
    return Split(_label_by_position(source), targets)


def _label_by_position(source: data.ImageSource) -> data.ImageSource:
    """Replaces labels by positions, with which a pipeline looks up the targets."""
    images = copy.copy(source)
    images.labels = np.arange(len(source))
    images.class_names = tuple(map(str, images.labels))
    return images


def _load_multi_label(entry: TransferDataset, data_dir: str, split: str) -> Split:
    """Reads images with the features `labels` and, a part of these, `labels_no_difficult`."""
    builder = tfds.builder(entry.tfds_name, data_dir=data_dir)
    names = builder.info.features["labels"].feature.names
    dataset = builder.as_dataset(
        split=split,
        decoders={"image": tfds.decode.SkipDecoding()},
        shuffle_files=False,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    examples = [
        (example["image"], example["labels"], example["labels_no_difficult"])
        for example in tfds.as_numpy(dataset)
    ]
    shown, certain = np.zeros([2, len(examples), len(names)], bool)
    for i, (_, labels, labels_no_difficult) in enumerate(examples):
        shown[i, labels] = True
        certain[i, labels_no_difficult] = True
    records = [image for image, _, _ in examples]
    images = data.EncodedImages(records, np.full(len(records), -1), names)
    return Split(_label_by_position(images), shown.astype(np.float32), shown & ~certain)
