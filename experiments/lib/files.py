"""Atomic writes, and JSON files."""

import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file completely or not at all, also if the machine loses power.

    Args:
        path: the file to create or to replace.
        write: writes the file to the temporary path that it receives, which is in the same
            directory and has the same suffix.
    """
    # Imports TensorFlow, which scripts import after they have parsed their flags.
    from supcon_tf import _files

    _files.write_atomically(path, write)


def write_in_turn(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file atomically while no other process writes it, as `write_atomically` does."""
    from supcon_tf import _files

    _files.write_in_turn(path, write)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value as indented JSON."""
    from supcon_tf import _files

    _files.write_json(path, value)


def make_output_dir(directory: str | None) -> pathlib.Path | None:
    """Creates the directory for the results of a script, before it works for minutes.

    Args:
        directory: the value of a flag; `None` to write nothing.

    Returns:
        The path, or `None`.

    Raises:
        NotADirectoryError: if the path or a parent of it is a file.
        OSError: if the directory cannot be created.
    """
    if directory is None:
        return None
    from supcon_tf import _files

    path = pathlib.Path(directory)
    _files.make_directory(path)
    return path


def read_json_lines(path: pathlib.Path) -> list[Any]:
    """Reads one JSON value per line; a missing file has none.

    Raises:
        ValueError: if a line is damaged, with its number.
    """
    if not path.exists():
        return []
    values = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            values.append(json.loads(line))
        except ValueError:
            raise ValueError(
                f"Line {number} of {path} must be JSON. Remove the line to compute its record "
                f"again. Received: {line[:80]!r}"
            ) from None
    return values


def write_json_lines(path: pathlib.Path, values: Iterable[Any]) -> None:
    """Writes one JSON value per line, and creates the directory if necessary."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda name: name.write_text(text))
