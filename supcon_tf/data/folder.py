"""A directory with one subdirectory of images per class."""

import os
import pathlib
from concurrent import futures

import numpy as np
import tensorflow as tf

from supcon_tf.data.sources import EncodedImages, decode

# What an image file's name ends in, in lower case.
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png"}


def load_folder(
    directory: str | os.PathLike[str], *, channels: int = 3, verify: bool = True
) -> EncodedImages:
    """Loads images from `directory/class name/*.{jpg,jpeg,png,bmp,gif}`.

    Classes are numbered in the order of their names; hidden files and directories are left out.

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
        channels: 3 for RGB, 1 for grey; what every image is decoded to.
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
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise ValueError(
            "`directory` must hold one subdirectory of images per class. "
            f"Received: directory={str(root)!r} with no subdirectories"
        )
    paths: list[str] = []
    labels: list[int] = []
    for label, class_directory in enumerate(classes):
        images = sorted(
            str(path)
            for path in class_directory.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        if not images:
            raise ValueError(
                f"{class_directory} must hold at least one image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}); add images or remove the directory."
            )
        paths += images
        labels += [label] * len(images)
    if verify:
        with futures.ThreadPoolExecutor() as pool:
            list(pool.map(_require_readable, paths))
    return EncodedImages(
        paths,
        np.array(labels),
        [path.name for path in classes],
        read=tf.io.read_file,
        channels=channels,
    )


def _require_readable(path: str) -> None:
    try:
        decode(tf.io.read_file(path), channels=3)
    except tf.errors.OpError as error:
        raise ValueError(
            f"{path} cannot be read as an image; replace or remove it. Received: {error.message}"
        ) from error
