"""Reads what a finished training has written to its directory."""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supcon_tf.commands.confidence import to_probabilities
from supcon_tf.evaluation.inputs import check_class_ids, check_class_range, check_matrix


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What the classifier of a run returns for some images.

    Attributes:
        paths: `[images]` files of the images.
        labels: `[images]` class ids, or `[images, classes]` 0 or 1 if images have several classes.
        logits: `[images, classes]`.
        representations: `[images, dim]`.
    """

    paths: Sequence[pathlib.Path]
    labels: NDArray[np.int64]
    logits: NDArray[Any]
    representations: NDArray[Any]

    def classes_of(self, image: int, class_names: Sequence[str]) -> frozenset[str]:
        """Returns the names of the classes of an image."""
        row = self.labels[image]
        ids = np.flatnonzero(row).tolist() if self.labels.ndim == 2 else [int(row)]
        return frozenset(class_names[label] for label in ids)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: its directory.
        settings: settings.json.
        results: results.json.
        test: outputs for the images that the results are about.
        train: outputs for the training images.
    """

    directory: pathlib.Path
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    test: Outputs
    train: Outputs

    @property
    def class_names(self) -> Sequence[str]:
        """The names of the classes."""
        return self.settings["class_names"]

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several classes."""
        return self.test.labels.ndim == 2

    @property
    def has_test_images(self) -> bool:
        """Whether the results are about images that were not used to calibrate probabilities."""
        return self.results.get("tested_on") == "test folder"

    @property
    def temperature(self) -> float:
        """The number by which the logits are divided to calibrate the probabilities."""
        return float(self.results.get("temperature") or 1.0)

    def probabilities(self, outputs: Outputs) -> NDArray[np.float64]:
        """Returns the calibrated probabilities `[images, classes]` of logits."""
        return to_probabilities(outputs.logits, self.temperature, multi_label=self.multi_label)

    def names_of(self, outputs: Outputs, image: int) -> str:
        """Returns the names of the classes of an image, with semicolons between them."""
        return "; ".join(sorted(outputs.classes_of(image, self.class_names))) or "no class"


def read_run(run_dir: str | os.PathLike[str]) -> Run:
    """Reads a finished run.

    Raises:
        FileNotFoundError: if a file of the run is missing.
        ValueError: if a file is damaged or does not fit the others.
    """
    directory = pathlib.Path(run_dir)
    settings = read_settings(directory)
    return Run(
        directory,
        settings,
        read_json(directory / "results.json"),
        read_outputs(directory / "test_outputs.npz", settings),
        read_outputs(directory / "train_outputs.npz", settings),
    )


def read_settings(run_dir: pathlib.Path) -> dict[str, Any]:
    """Reads the settings of a run.

    Raises:
        FileNotFoundError: if the directory has no settings.
        ValueError: if the file is damaged.
    """
    settings = read_json(run_dir / "settings.json")
    if not settings.get("class_names"):
        raise ValueError(
            f"{run_dir / 'settings.json'} must name the classes. Received: {sorted(settings)}"
        )
    return settings


def read_outputs(path: pathlib.Path, settings: Mapping[str, Any]) -> Outputs:
    """Reads the outputs for some images. Relative paths are relative to the data of the run.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if the file is damaged, or its arrays do not fit each other or the settings.
    """
    require_file(path)
    names = ("paths", "labels", "logits", "representations")
    try:
        with np.load(path) as arrays:
            paths, labels, logits, representations = (arrays[name] for name in names)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must hold the arrays {', '.join(names)}. Train again. Received: {error}"
        ) from error
    logits = check_matrix("logits", logits)
    representations = check_matrix("representations", representations)
    classes = len(settings["class_names"])
    if labels.shape == logits.shape:
        labels = labels.astype(np.int64)
    else:
        labels = check_class_ids("labels", labels, len(logits))
        check_class_range("labels", labels, classes)
    if not len(paths) == len(logits) == len(representations) or logits.shape[1] != classes:
        raise ValueError(
            f"{path} must hold a row for every image, and a logit for each of {classes} classes. "
            f"Received: {len(paths)} paths, logits {logits.shape}, representations "
            f"{representations.shape}"
        )
    root = pathlib.Path(settings.get("data") or "")
    root = root.parent if root.suffix == ".csv" else root
    return Outputs([root / name for name in paths.tolist()], labels, logits, representations)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object of a run.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is damaged.
    """
    require_file(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON. Train again. Received: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} must be a JSON object. Train again. Received: {type(value)}")
    return value


def require_file(path: pathlib.Path) -> None:
    """Requires that a file of a run exists.

    Raises:
        FileNotFoundError: if it does not.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} must be the directory of a finished `python -m supcon_tf train`; run "
            f"an interrupted one again to finish it. Received: no file {path.name}"
        )
