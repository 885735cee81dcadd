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
    groups = parse_file_groups(flag, texts)
    for name, files in groups.items():
        if len(files) > 1:
            raise ValueError(
                f"`--{flag}` must be NAME=FILE with a different NAME for each file. "
                f"Received: {name!r} twice in {list(texts)}"
            )
    return {name: files[0] for name, files in groups.items()}


def parse_file_groups(flag: str, texts: Sequence[str]) -> dict[str, list[pathlib.Path]]:
    """Parses values of the form NAME=FILE, of which several can have the same name.

    Args:
        flag: the name of the flag, for errors.
        texts: the values of the flag.

    Returns:
        The files of each name, in the given order.

    Raises:
        ValueError: if a name or a file is missing.
        FileNotFoundError: if a file does not exist.
    """
    groups: dict[str, list[pathlib.Path]] = {}
    for text in texts:
        name, _, file = text.partition("=")
        path = pathlib.Path(file)
        if not name or not file:
            raise ValueError(f"`--{flag}` must be NAME=FILE. Received: {text!r} in {list(texts)}")
        if not path.is_file():
            raise FileNotFoundError(f"`--{flag}` must be an existing file. Received: {file!r}")
        groups.setdefault(name, []).append(path)
    return groups


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
