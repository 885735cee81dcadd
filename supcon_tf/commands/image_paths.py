"""Image files named on the command line."""

import glob
import os
import pathlib
from collections.abc import Iterable

from supcon_tf.data.folder import describe_missing, find_images


def expand_paths(names: Iterable[str | os.PathLike[str]]) -> list[pathlib.Path]:
    """Returns the image files that names stand for, each once, in the order of the names.

    Args:
        names: files, directories that stand for all images in them at any depth, and patterns such
            as `photos/*.jpg`.

    Raises:
        FileNotFoundError: if a name stands for no file.
        ValueError: if there are no names.
    """
    paths = [path for name in names for path in _expand(str(name))]
    if not paths:
        raise ValueError("At least one image must be named. Received: no images")
    return list(dict.fromkeys(paths))


def _expand(name: str) -> list[pathlib.Path]:
    path = pathlib.Path(name)
    if path.is_dir():
        found, others = find_images(path)
        if not found:
            raise FileNotFoundError(describe_missing(path, others))
        return found
    if path.exists():
        return [path]
    matches = sorted(glob.glob(name, recursive=True))
    if not matches:
        raise FileNotFoundError(
            f"{name} must be an image, a directory of images or a pattern of existing files. "
            "Received: no such file"
        )
    return [image for match in matches for image in _expand(match)]
