"""The 12 data sets that representations are transferred to, by name, with their figures.

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
from supcon_tf.evaluation.inputs import check_matrix

with require_extra("experiments.transfer", "tensorflow-datasets"):
    import tensorflow_datasets as tfds

# Of scores and targets `[images, classes]`, and which targets do not count, if any.
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]


def _top_1(scores: np.ndarray, targets: np.ndarray, difficult: np.ndarray | None) -> float:
    return float(np.mean(_classes(scores) == targets.argmax(axis=1)))


def _mean_per_class(scores: np.ndarray, targets: np.ndarray, difficult: np.ndarray | None) -> float:
    return evaluation.mean_per_class_accuracy(_classes(scores), targets.argmax(axis=1))


def _classes(scores: np.ndarray) -> np.ndarray:
    # Of a row with NaN that is the largest one, and of a diverged classifier always the first.
    return check_matrix("scores", scores).argmax(axis=1)


METRICS: dict[str, Metric] = {
    "top-1": _top_1,
    "mean per class": _mean_per_class,
    "11-point mAP": evaluation.voc_mean_average_precision,
}


@dataclasses.dataclass(frozen=True)
class TransferSet:
    """A data set.

    Args:
        metric: a name of `METRICS`.
        tfds_name: what TensorFlow Datasets calls it; empty if it does not have it.
        train: the splits of TensorFlow Datasets to train on.
        test: the split to test on.
        multi_label: whether an image may be of several classes.
    """

    metric: str = "top-1"
    tfds_name: str = ""
    train: str = "train"
    test: str = "test"
    multi_label: bool = False


_ALL = "train+validation"
SETS = {
    "food": TransferSet(tfds_name="food101", test="validation"),
    "cifar10": TransferSet(tfds_name="cifar10"),
    "cifar100": TransferSet(tfds_name="cifar100"),
    "birdsnap": TransferSet(),
    "sun397": TransferSet(tfds_name="sun397/standard-part1-120k"),
    "cars": TransferSet(tfds_name="cars196"),
    "aircraft": TransferSet("mean per class"),
    "voc2007": TransferSet("11-point mAP", "voc/2007", _ALL, multi_label=True),
    "dtd": TransferSet(tfds_name="dtd", train=_ALL),
    "pets": TransferSet("mean per class", "oxford_iiit_pet"),
    "caltech101": TransferSet("mean per class", "caltech101"),
    "flowers": TransferSet("mean per class", "oxford_flowers102", _ALL),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """Images and what they show.

    Args:
        images: the images; their labels are their positions.
        targets: `[images, classes]` float32, 1 where an image shows a class and 0 elsewhere.
        difficult: `[images, classes]` bool, where a target does not count in the figure; or `None`.
    """

    images: data.ImageSource
    targets: np.ndarray
    difficult: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> "Part":
        """Returns the images at the given positions."""
        images = _numbered(self.images.take(indices))
        difficult = None if self.difficult is None else self.difficult[indices]
        return Part(images, self.targets[indices], difficult)


def require(names: list[str], data_dir: str) -> None:
    """Checks that data sets are known and there, without reading them.

    Raises:
        ValueError: if a name is not one of `SETS`.
        FileNotFoundError: if images are not there.
    """
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise ValueError(f"`datasets` must be some of {list(SETS)}. Received: {unknown}")
    for name in names:
        tfds_name = SETS[name].tfds_name
        if _has_classes(name, data_dir) or (
            tfds_name and tfds.builder(tfds_name, data_dir=data_dir).is_prepared()
        ):
            continue
        ways = []
        if not SETS[name].multi_label:
            ways.append(
                f"{name}/train and {name}/test, each with one directory of images per class"
            )
        if tfds_name:
            ways.append(f"what `tfds build {tfds_name} --data_dir {data_dir}` prepares")
        raise FileNotFoundError(
            f"`data_dir` must hold {', or '.join(ways)}. Received: data_dir={data_dir!r}"
        )


def load(name: str, data_dir: str) -> tuple[Part, Part]:
    """Loads a data set from directories of classes, or else from TensorFlow Datasets.

    Args:
        name: one of `SETS`.
        data_dir: a directory with `name/train` and `name/test`, each with one directory of images
            per class; or with what TensorFlow Datasets prepared.

    Returns:
        What to train on and what to test on.

    Raises:
        ValueError: if the classes of both parts differ.
    """
    entry = SETS[name]
    if _has_classes(name, data_dir):
        folder = pathlib.Path(data_dir) / name
        train, test = (data.load_folder(folder / part) for part in ("train", "test"))
    elif entry.multi_label:
        return tuple(_load_multi_label(entry, data_dir, part) for part in (entry.train, entry.test))
    else:
        train, test = (
            data.load_tfds(entry.tfds_name, data_dir, part) for part in (entry.train, entry.test)
        )
    if train.class_names != test.class_names:
        raise ValueError(
            f"{name}/train and {name}/test must have the same classes. Received: only in one of "
            f"them {sorted(set(train.class_names) ^ set(test.class_names))}"
        )
    return _of_ids(train), _of_ids(test)


def _has_classes(name: str, data_dir: str) -> bool:
    """Whether a data set is in directories of classes, as one of several labels cannot be."""
    folder = pathlib.Path(data_dir) / name
    return not SETS[name].multi_label and all(
        (folder / part).is_dir() for part in ("train", "test")
    )


def _of_ids(source: data.ImageSource) -> Part:
    targets = np.eye(len(source.class_names), dtype=np.float32)[source.labels]
    return Part(_numbered(source), targets)


def _numbered(source: data.ImageSource) -> data.ImageSource:
    """Makes positions the labels of images, by which a pipeline finds their targets."""
    images = copy.copy(source)
    images.labels = np.arange(len(source))
    images.class_names = tuple(map(str, images.labels))
    return images


def _load_multi_label(entry: TransferSet, data_dir: str, split: str) -> Part:
    """Reads images with `labels` and, of these, `labels_no_difficult`."""
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
    return Part(_numbered(images), shown.astype(np.float32), shown & ~certain)
