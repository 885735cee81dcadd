"""Atomic writes, and JSON files."""

import json
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file completely or not at all.

    Args:
        path: the file to create or to replace.
        write: writes the file to the temporary path that it receives, which is in the same
            directory and has the same suffix.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value as indented JSON."""
    write_atomically(path, lambda name: name.write_text(json.dumps(value, indent=2) + "\n"))


def read_json_lines(path: pathlib.Path) -> list[Any]:
    """Reads one JSON value per line; a missing file has none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_json_lines(path: pathlib.Path, values: Iterable[Any]) -> None:
    """Writes one JSON value per line, and creates the directory if necessary."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda name: name.write_text(text))
