"""Result files that are either whole or not there."""

import json
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Calls `write` with a temporary name beside `path` and renames what it wrote.

    Args:
        path: the file to make or to replace.
        write: writes a whole file under the name it is given, which has the suffix of `path`.
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
    """Reads what `write_json_lines` wrote; nothing if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_json_lines(path: pathlib.Path, values: Iterable[Any]) -> None:
    """Writes each value as a line of JSON, in a directory that is made if need be."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda name: name.write_text(text))
