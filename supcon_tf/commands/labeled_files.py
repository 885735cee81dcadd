"""Image files and their labels, from a directory per class or a csv file."""

import collections
import csv
import dataclasses
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf.data.class_names import describe_difference
from supcon_tf.data.folder import (
    TEST_DIRECTORIES,
    describe_missing,
    describe_skipped,
    find_images,
    require_no_parts,
)
from supcon_tf.data.suffixes import IMAGE_SUFFIXES

_HEADERS = ("path", "file", "filename", "image")


@dataclasses.dataclass(frozen=True)
class LabeledFiles:
    """Image files with one or several labels each.

    Attributes:
        paths: absolute paths.
        targets: `[images]` int64 class ids; or `[images, classes]` float32 of zeros and ones if an
            image has several labels.
        class_names: names of the classes, sorted.
    """

    paths: tuple[pathlib.Path, ...]
    targets: NDArray[Any]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several labels."""
        return self.targets.ndim == 2

    @property
    def indicators(self) -> NDArray[np.float32]:
        """`[images, classes]`: 1 for the classes of an image, and 0."""
        if self.multi_label:
            return self.targets
        return np.eye(len(self.class_names), dtype=np.float32)[self.targets]

    def take(self, indices: NDArray[np.int64]) -> "LabeledFiles":
        """Returns the files with the given indices."""
        paths = tuple(self.paths[index] for index in indices)
        return LabeledFiles(paths, self.targets[indices], self.class_names)


def find_test_set(
    folder: pathlib.Path, test: pathlib.Path | None
) -> tuple[pathlib.Path, pathlib.Path | None]:
    """Finds train/ and test/ (or val/, or validation/) in a folder, in upper or lower case.

    Args:
        folder: the folder or csv file that the user named.
        test: the test folder or csv file that the user named, if any.

    Returns:
        The training folder or file, and the test folder or file, or `None` without one.
    """
    inside = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    parts = {path.name.lower(): path for path in inside}
    train = parts.get("train")
    if train is None or not any(path.is_dir() for path in train.iterdir()):
        return folder, test
    tests = [parts[name] for name in TEST_DIRECTORIES if name in parts]
    return train, test or (tests[0] if tests else None)


def read_labeled_files(source: pathlib.Path, like: LabeledFiles | None = None) -> LabeledFiles:
    """Finds images and their labels.

    Args:
        source: a directory with one directory of images per class, or a csv file with the columns
            path and label.
        like: the training images, for a test set, which has the same classes. By default the
            classes are those that occur.

    Returns:
        The files. If one of them has several labels, its targets are rows of zeros and ones.

    Raises:
        FileNotFoundError: if `source` or a file does not exist.
        ValueError: if `source` does not have one of the two forms, there are fewer than two
            classes, or the classes are not those of `like`.
    """
    source = source.absolute()
    if source.is_dir():
        labels_of = _read_class_directories(source)
    elif source.is_file():
        labels_of = _read_csv(source)
    else:
        raise FileNotFoundError(
            "The images must be a directory with one directory per class, or a csv file. "
            f"Received: {str(source)!r}, which does not exist"
        )
    found = sorted({label for labels in labels_of.values() for label in labels})
    if like is None:
        _require_classes(source, found)
        _warn_of_similar_names(source, found)
    class_names = found if like is None else like.class_names
    unknown = [name for name in found if name not in class_names]
    if unknown:
        missing = [name for name in class_names if name not in found]
        raise ValueError(
            f"The classes in {source} must be classes of the training images. "
            f"Received: {describe_difference(missing, unknown)}"
        )
    ids = {name: number for number, name in enumerate(class_names)}
    indicators = np.zeros([len(labels_of), len(class_names)], np.float32)
    for row, labels in zip(indicators, labels_of.values(), strict=True):
        row[[ids[label] for label in labels]] = 1
    multi_label = bool((indicators.sum(axis=1) > 1).any())
    if like is not None:
        if multi_label > like.multi_label:
            raise ValueError(
                f"{source} must have one label per image, as the training images do. Received: "
                "several labels"
            )
        multi_label = like.multi_label
    targets = indicators if multi_label else indicators.argmax(axis=1)
    return LabeledFiles(tuple(labels_of), targets, tuple(class_names))


def hold_out(
    files: LabeledFiles, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits files at random, so that every class is in both parts.

    Args:
        files: the files.
        fraction: the held-out fraction of every class, rounded to at least one image. With several
            labels per image, further images are held out until every class occurs.
        seed: seed of the choice.

    Returns:
        The indices of the kept files and of the held-out files, in ascending order.

    Raises:
        ValueError: if a class has too few images for both parts.
    """
    order = np.random.default_rng(seed).permutation(len(files))
    indicators = files.indicators[order]
    counts = indicators.sum(axis=0)
    wanted = np.maximum(np.round(fraction * counts), 1)
    chosen = np.zeros(len(files), bool)
    for class_id in np.argsort(counts, kind="stable"):  # Rare classes have the least choice.
        candidates = np.flatnonzero((indicators[:, class_id] == 1) & ~chosen)
        missing = wanted[class_id] - indicators[chosen, class_id].sum()
        chosen[candidates[: int(max(missing, 0))]] = True
    empty = np.flatnonzero(indicators[~chosen].sum(axis=0) == 0)
    if len(empty):
        name = files.class_names[empty[0]]
        raise ValueError(
            f"Every class must have at least two images, one of which is held out. Received: "
            f"{int(counts[empty[0]])} of class {name!r}"
        )
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _read_class_directories(root: pathlib.Path) -> dict[pathlib.Path, list[str]]:
    inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    directories = [path for path in inside if path.is_dir()]
    require_no_parts(root, [path.name for path in directories])
    images_in, skipped = {}, [path for path in inside if not path.is_dir()]
    for directory in directories:
        images_in[directory], others = find_images(directory)
        skipped += others
    if not any(images_in.values()):
        images, others = find_images(root)
        if not images:
            raise ValueError(describe_missing(root, others))
        raise ValueError(
            f"{root} must contain one directory of images per class. If it is the directory of one "
            f"class, name the directory that contains it. Received: {len(images)} images, not in "
            "such directories"
        )
    for directory, images in images_in.items():
        if not images:
            _, others = find_images(directory)
            raise ValueError(
                describe_missing(directory, others, "Add images or remove the directory. ")
            )
    stray = [path for path in skipped if path.suffix.lower() in IMAGE_SUFFIXES]
    if stray:
        raise ValueError(
            f"{root} must contain images in the directories of their classes only. Move or remove "
            f"the others. Received: {len(stray)} images beside them, such as {stray[0].name}"
        )
    if skipped:
        warnings.warn(describe_skipped(skipped, root), stacklevel=3)
    return {image: [each.name] for each, images in images_in.items() for image in images}


def _read_csv(file: pathlib.Path) -> dict[pathlib.Path, list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(enumerate(csv.reader(lines), start=1))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{file} must be a directory with one directory of images per class, or a csv file in "
            f"UTF-8. Received: a file that is not text in UTF-8 ({error})"
        ) from error
    if rows and rows[0][1] and rows[0][1][0].strip().lower() in _HEADERS:
        del rows[0]
    labels_of: dict[pathlib.Path, list[str]] = {}
    for number, row in rows:
        if not row:
            continue
        labels = [label.strip() for label in row[1].split(";")] if len(row) == 2 else []
        if not labels or not all(labels):
            raise ValueError(
                f"Line {number} of {file} must have a path, a comma, and a label or several labels "
                f"separated by semicolons. Received: {','.join(row)!r}"
            )
        path = file.parent / row[0].strip()
        if not path.is_file():
            header = " (the header must be path,label)" if number == 1 else ""
            problem = "is a directory" if path.is_dir() else "does not exist"
            raise FileNotFoundError(
                f"Line {number} of {file} must name an image, relative to the directory of the "
                f"file, with / between directories{header}. Received: {row[0]}, which {problem}"
            )
        if path in labels_of:
            raise ValueError(
                f"Line {number} of {file} must name an image that no other line names. Separate "
                f"several labels by semicolons. Received: {row[0]!r} again"
            )
        labels_of[path] = labels
    return labels_of


def _require_classes(source: pathlib.Path, found: Sequence[str]) -> None:
    if len(found) < 2:
        classes = f"only the class {found[0]!r}" if found else "no classes"
        advice = (
            "; if the directories of the classes are deeper, name the directory that contains them"
            if source.is_dir()
            else ", one image in each line"
        )
        raise ValueError(
            f"{source} must contain images of at least two classes{advice}. Received: {classes}"
        )


def _warn_of_similar_names(source: pathlib.Path, class_names: Sequence[str]) -> None:
    """Warns if the names of two classes differ only in upper and lower case."""
    variants = collections.defaultdict(list)
    for name in class_names:
        variants[name.casefold()].append(name)
    similar = ["/".join(names) for names in variants.values() if len(names) > 1]
    if similar:
        warnings.warn(
            f"{source} has classes whose names differ only in case, which are different classes: "
            f"{', '.join(similar)}",
            stacklevel=3,
        )


def describe_files(files: LabeledFiles) -> str:
    """Returns the number of images and classes as text, such as `"90 images of 3 classes"`."""
    most = int(files.indicators.sum(axis=1).max())
    several = f", up to {most} labels per image" if files.multi_label else ""
    return f"{len(files)} images of {len(files.class_names)} classes{several}"
