"""A finished run of `train`, as other commands read it."""

import dataclasses
import pathlib
from typing import Any

from supcon_tf.commands.run_outputs import read_json, read_settings
from supcon_tf.commands.saved_models import load_model
from supcon_tf.commands.settings import Settings, settings_from_json
from supcon_tf.models import LinearClassifier


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained classifier with its settings and its results.

    Attributes:
        classifier: the classifier, from images in [0, 1] to logits.
        settings: the settings of the training.
        multi_label: whether an image can have several labels.
        results: the content of results.json.
    """

    classifier: LinearClassifier
    settings: Settings
    multi_label: bool
    results: dict[str, Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.classifier.class_names or ()


def load_run(directory: pathlib.Path) -> TrainedRun:
    """Loads a finished run.

    Args:
        directory: the output directory of `train`.

    Raises:
        FileNotFoundError: if the directory holds no finished run.
        ValueError: if its files are damaged.
    """
    results = read_json(directory / "results.json")
    stored = read_settings(directory)
    classifier = load_model(directory / "classifier.keras")
    return TrainedRun(classifier, settings_from_json(stored), stored["multi_label"], results)
