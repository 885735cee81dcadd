"""Logs the metrics of every epoch to a CSV file."""

import csv
import io
import pathlib
import warnings
from typing import Any

import keras

from supcon_tf._files import write_atomically


class EpochLog(keras.callbacks.Callback):
    """Writes the mean metrics and the last learning rate of every epoch.

    Unlike `keras.callbacks.CSVLogger` it replaces the file atomically, and removes the epochs that
    were logged after the checkpoint from which a training resumes.

    Args:
        path: the CSV file.
        first_epoch: the epoch, counted from 0, at which the training starts or resumes.
    """

    def __init__(self, path: pathlib.Path, first_epoch: int):
        super().__init__()
        self.path = path
        rows = read_epoch_log(path)
        self._rows: list[dict[str, Any]] = [r for r in rows if int(r["epoch"]) < first_epoch]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds a row."""
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._rows.append({"epoch": epoch, **(logs or {}), "learning_rate": float(rate)})
        write_atomically(self.path, self._write)

    def _write(self, name: pathlib.Path) -> None:
        with name.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._rows[-1])
            writer.writeheader()
            writer.writerows(self._rows)


def read_epoch_log(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads the rows that `EpochLog` wrote; a missing file has none.

    A warning counts the lines that are damaged, and they are skipped.
    """
    if not path.exists():
        return []
    text = path.read_text(errors="replace").replace("\0", "")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    complete = [row for row in rows if _is_complete(row)]
    if len(complete) < len(rows):
        warnings.warn(
            f"{len(rows) - len(complete)} damaged lines of {path} are skipped", stacklevel=2
        )
    return complete


def _is_complete(row: dict[str, str]) -> bool:
    try:
        int(row["epoch"])
        return all(name is not None and float(value) is not None for name, value in row.items())
    except (KeyError, TypeError, ValueError):
        return False
