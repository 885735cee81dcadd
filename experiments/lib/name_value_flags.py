"""Flags whose values have the form NAME=VALUE."""

import ast
import pathlib
from collections.abc import Sequence
from typing import Any


def parse_files(flag: str, texts: Sequence[str]) -> dict[str, pathlib.Path]:
    """Parses values of the form NAME=FILE.

    Args:
        flag: the name of the flag, for errors.
        texts: the values of the flag.

    Returns:
        The file of each name, in the given order.

    Raises:
        ValueError: if a name or a file is missing, or a name occurs twice.
        FileNotFoundError: if a file does not exist.
    """
    files: dict[str, pathlib.Path] = {}
    for text in texts:
        name, _, file = text.partition("=")
        if not name or not file or name in files:
            raise ValueError(
                f"`--{flag}` must be NAME=FILE with a different NAME for each file. "
                f"Received: {text!r} in {list(texts)}"
            )
        files[name] = pathlib.Path(file)
        if not files[name].is_file():
            raise FileNotFoundError(f"`--{flag}` must be an existing file. Received: {file!r}")
    return files


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Parses values of the form FIELD=VALUE.

    Args:
        texts: the values of the flag `--change`.

    Returns:
        The value of each field: a Python literal, or a string if it is not one.

    Raises:
        ValueError: if a text has no `=`.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"`--change` must be FIELD=VALUE. Received: {text!r}")
        try:
            changes[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            changes[name] = value
    return changes
