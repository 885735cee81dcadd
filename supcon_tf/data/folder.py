"""Image files: a directory with one subdirectory of images per class, or any directory."""

import collections
import functools
import os
import pathlib
import warnings
from collections.abc import Iterable
from concurrent import futures

import numpy as np
import tensorflow as tf

from supcon_tf.data.sources import EncodedImages, decode

# What the name of a file that TensorFlow reads as an image ends in, in lower case. Version 2.19 has
# neither WebP nor JPEG XL.
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png"}
IMAGE_SUFFIXES |= {f".{kind}" for kind in ("jxl", "webp") if hasattr(tf.io, f"decode_{kind}")}


def load_folder(
    directory: str | os.PathLike[str], *, channels: int = 3, verify: bool = True
) -> EncodedImages:
    """Loads the images of `directory/class name/`, at any depth.

    Classes are numbered in the order of their names. Formats are those that TensorFlow reads: JPEG,
    PNG, BMP, GIF (the first frame) and, with TensorFlow 2.21, WebP without animation and JPEG XL.
    `supcon_tf.data.IMAGE_SUFFIXES` lists the endings of their names. A warning counts the files
    that are left out. Hidden files and directories are left out silently.

    Examples:
        >>> import pathlib, tempfile, tensorflow as tf, supcon_tf
        >>> directory = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (directory / name).mkdir()
        ...     png = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
        ...     _ = (directory / name / "1.png").write_bytes(png)
        >>> images = supcon_tf.data.load_folder(directory)
        >>> images.class_names, images.labels.tolist()
        (('cat', 'dog'), [0, 1])

    Args:
        directory: the directory of class directories.
        channels: 3 for RGB, 1 for gray; what every image is decoded to. TensorFlow takes the
            colors of a BMP with a palette for shades of gray; save such files as PNG.
        verify: whether to decode every file once now, so that a damaged one is reported before a
            training begins and not in the middle of it. It takes about a minute for 100,000 photos.

    Returns:
        The images, read from their files when they are needed.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if there are no class directories, one holds no images, or an image cannot be
            read.
    """
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise FileNotFoundError(f"`directory` must exist. Received: directory={str(root)!r}")
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not _hidden(p))
    if not classes:
        raise ValueError(
            "`directory` must hold one subdirectory of images per class. "
            f"Received: directory={str(root)!r} with no subdirectories"
        )
    paths: list[pathlib.Path] = []
    labels: list[int] = []
    left_out = [path for path in root.iterdir() if path.is_file() and not _hidden(path)]
    for label, class_directory in enumerate(classes):
        images, others = find_images(class_directory)
        if not images:
            raise ValueError(
                f"{class_directory} must hold at least one image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}); add images or remove the directory. "
                f"Received: {len(others)} other files"
            )
        paths += images
        labels += [label] * len(images)
        left_out += others
    if left_out:
        warnings.warn(f"{describe_left_out(left_out, root)} from class directories", stacklevel=2)
    if verify:
        require_readable(paths, channels)
    return EncodedImages(
        [str(path) for path in paths],
        np.array(labels),
        [path.name for path in classes],
        read=tf.io.read_file,
        channels=channels,
    )


def find_images(directory: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Lists the images of a directory at any depth, and its other files, both in order.

    Links to directories are followed; hidden files and directories are left out.
    """
    images: list[pathlib.Path] = []
    others: list[pathlib.Path] = []
    for place, directories, names in os.walk(directory, followlinks=True):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for path in (pathlib.Path(place, name) for name in names):
            if not _hidden(path):
                kind = images if path.suffix.lower() in IMAGE_SUFFIXES else others
                kind.append(path)
    return sorted(images), sorted(others)


def describe_left_out(files: Iterable[pathlib.Path], directory: pathlib.Path) -> str:
    """Says in a line how many files of a directory are left out, and what their names end in."""
    endings = collections.Counter(path.suffix.lower() or "without an ending" for path in files)
    counts = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
    return (
        f"{endings.total()} files of {directory} are left out: {counts}; "
        f"{', '.join(sorted(IMAGE_SUFFIXES))} are read"
    )


def require_readable(paths: Iterable[pathlib.Path], channels: int) -> None:
    """Decodes image files as the pipeline does.

    Raises:
        ValueError: if one cannot be read; the error names it.
    """
    with futures.ThreadPoolExecutor() as pool:
        list(pool.map(functools.partial(_require_readable, channels=channels), paths))


def _require_readable(path: pathlib.Path, channels: int) -> None:
    try:
        decode(tf.io.read_file(str(path)), channels)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{path} cannot be read as an image; replace or remove it. Received: {error.message}"
        ) from error


def _hidden(path: pathlib.Path) -> bool:
    return path.name.startswith(".")
