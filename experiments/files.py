"""Result files that are either whole or not there."""

import json
import os
import pathlib
from collections.abc import Callable
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
