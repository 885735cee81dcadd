"""Files with a name of their own, as flags give them."""

import pathlib
from collections.abc import Sequence


def parse(flag: str, texts: Sequence[str]) -> dict[str, pathlib.Path]:
    """Takes `NAME=FILE` apart.

    Args:
        flag: the name of the flag, for errors.
        texts: its values.

    Returns:
        The file of each name, in the same order.

    Raises:
        ValueError: if a name or a file is missing, or a name comes twice.
        FileNotFoundError: if there is no such file.
    """
    files: dict[str, pathlib.Path] = {}
    for text in texts:
        name, _, file = text.partition("=")
        if not name or not file or name in files:
            raise ValueError(
                f"`{flag}` must be NAME=FILE, every NAME another one. Received: {text!r} of "
                f"{list(texts)}"
            )
        files[name] = pathlib.Path(file)
        if not files[name].is_file():
            raise FileNotFoundError(f"`{flag}` must exist. Received: {file!r}")
    return files
