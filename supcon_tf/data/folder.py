"""Image files in a directory with one subdirectory per class."""

import collections
import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from supcon_tf._checks import check_choice
from supcon_tf.data.class_names import describe_difference
from supcon_tf.data.decoding import PixelFormat
from supcon_tf.data.listing import (
    Listing,
    files_below,
    list_directories,
    list_directory,
    path_prefix,
)
from supcon_tf.data.manifest import open_manifest
from supcon_tf.data.readable import check_readable, describe_unreadable, find_unreadable
from supcon_tf.data.sources import EncodedImages
from supcon_tf.data.suffixes import IMAGE_SUFFIXES, suffix
from supcon_tf.data.verification import find_damaged

# Names of the directory of the test images, beside `train`.
TEST_DIRECTORIES = ("test", "val", "validation")

# Lower-case names of directories that hold the parts of a data set, and not classes.
_TRAINING_PARTS = {"train", "training"}
_PARTS = {*_TRAINING_PARTS, *TEST_DIRECTORIES, "testing", "valid", "dev"}


def load_folder(
    directory: str | os.PathLike[str],
    *,
    class_names: Sequence[str] | None = None,
    channels: int = 3,
    dtype: str = "uint8",
    verify: bool = True,
    on_error: str = "raise",
    manifest: str | os.PathLike[str] | None = None,
) -> EncodedImages:
    """Loads images from subdirectories named after their classes.

    Files can be at any depth below the directory of their class.

    Class ids follow `class_names`, or the sorted order of the names of the directories. Pass the
    `class_names` of the training images when you load test images, so that both have the same ids.

    Supported formats are JPEG, PNG, BMP, GIF (the first frame) and, with TensorFlow 2.21, JPEG XL
    and WebP without animation. `supcon_tf.data.IMAGE_SUFFIXES` lists the file suffixes. A JPEG is
    turned upright by the orientation in its EXIF header; the metadata of other formats is ignored.
    A warning reports the number of skipped files. Hidden files and directories are skipped
    silently.

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
        directory: the directory that contains the class directories.
        class_names: the names of the class directories in the order of the class ids. The directory
            must contain these classes and no others. `None` sorts the names.
        channels: number of channels of the decoded images: 3 for RGB, 1 for gray, 4 for PNG files
            with four channels. TensorFlow decodes a BMP with a color palette as gray. Save such
            files as PNG.
        dtype: `"uint8"`, or `"uint16"` to decode all 16 bits of PNG files.
        verify: whether to decode every file once now, so that a damaged file is reported before
            training. This takes about a minute for 100,000 photos. With a `manifest`, only files
            that are new, changed or damaged are decoded, and a killed call is continued.
            `supcon_tf.data.verify_images` does the same with progress, and returns all that are
            damaged.
        on_error: `"raise"` to raise an error for damaged images, `"skip"` to leave them out with a
            warning that states their number. The same files always give the same images.
        manifest: a file that remembers the names of the files, for directories with millions of
            them. The first call creates it. Later calls list only the directories whose time has
            changed. Put it outside of `directory`, or begin its name with a dot. Several processes
            can use it. By default nothing is written and every directory is listed. Do so where
            directories keep their times when files are added, as on some mounted object stores.

    Returns:
        The images. Files are read when they are needed.

    Raises:
        FileNotFoundError: if the directory does not exist.
        ValueError: if the directory contains no class directories, or not those of `class_names`;
            without `class_names`, if it contains `train` and `test`; if a class directory contains
            no images; an image cannot be read, and all of its class with `on_error="skip"`;
            `on_error` is not one of its values; or `manifest` is not a manifest, or that of another
            directory.
        OSError: if a directory cannot be read, or the manifest can be neither read nor created.
    """
    check_choice("on_error", on_error, ("raise", "skip"))
    pixels = PixelFormat(channels, dtype)
    root = pathlib.Path(directory)
    if not root.is_dir():
        raise FileNotFoundError(
            f"`directory` must be an existing directory. Received: directory={str(directory)!r}"
        )
    names = find_class_names(root)
    if class_names is None:
        require_no_parts(root, names)
        if len(names) == 1:
            warnings.warn(
                f"{root} contains the single class {names[0]!r}. If the directories of the classes "
                "are deeper, pass the directory that contains them.",
                stacklevel=2,
            )
    else:
        names = _order(names, class_names, root)
    opened = open_manifest(root, manifest)
    prefix = path_prefix(root)
    paths: list[str] = []
    counts: list[int] = []
    skipped = [name for name in opened.listing[""].file_names if (root / name).is_file()]
    for name in names:
        images, others = _images_below(opened.listing, name)
        if not images:
            raise ValueError(
                describe_missing(root / name, others, "Add images or remove the directory. ")
            )
        paths += [f"{prefix}{image}" for image in images]
        counts.append(len(images))
        skipped += others
    if skipped:
        warnings.warn(f"{describe_skipped(skipped, root)} in class directories", stacklevel=2)
    damaged: dict[str, str] = {}
    if verify and manifest is not None:
        damaged = find_damaged(opened, [path for path in opened.listing if path])
    elif verify and on_error == "skip":
        damaged = dict(find_unreadable(paths, pixels))
    elif verify:
        check_readable(paths, pixels)
    if damaged and on_error == "raise":
        raise ValueError(_describe_damaged(damaged))
    labels = np.repeat(np.arange(len(names)), counts)
    if damaged:
        kept = np.array([path not in damaged for path in paths])
        missing = set(range(len(names))).difference(labels[kept].tolist())
        if missing:
            raise ValueError(
                f"{root / names[min(missing)]} must contain an image that can be read. Received: "
                f"{counts[min(missing)]} damaged images"
            )
        warnings.warn(f"{_describe_damaged(damaged)}. They are left out", stacklevel=2)
        paths = [path for path, keep in zip(paths, kept, strict=True) if keep]
        labels = labels[kept]
    return EncodedImages(
        [os.fsencode(path) for path in paths],
        labels,
        names,
        read=tf.io.read_file,
        channels=channels,
        dtype=dtype,
    )


def _describe_damaged(damaged: dict[str, str]) -> str:
    path, reason = next(iter(damaged.items()))
    others = f", and {len(damaged) - 1} more damaged images" if len(damaged) > 1 else ""
    return describe_unreadable(path, reason) + others


def find_class_names(directory: pathlib.Path) -> list[str]:
    """Returns the sorted names of the class directories in a directory.

    Raises:
        ValueError: if there are none.
    """
    names = list_directory(str(directory)).directory_names
    if not names:
        raise ValueError(
            "`directory` must contain one subdirectory of images per class. "
            f"Received: directory={str(directory)!r} with no subdirectories"
        )
    return names


def require_no_parts(directory: pathlib.Path, names: Iterable[str]) -> None:
    """Raises `ValueError` if directories are the parts of a data set, and not its classes.

    Args:
        directory: the directory that contains them, for the error.
        names: the names of the directories in it.
    """
    parts = [name for name in names if name.lower() in _PARTS]
    if len(parts) > 1 and any(name.lower() in _TRAINING_PARTS for name in parts):
        raise ValueError(
            f"{directory} must contain one directory of images per class. Name the one of its "
            "directories that contains the directories of the classes. Received: the directories "
            f"{', '.join(parts)}, which are the parts of a data set"
        )


def _order(directories: Sequence[str], class_names: Sequence[str], root: pathlib.Path) -> list[str]:
    """Returns the names of the class directories in the order of `class_names`.

    Raises:
        ValueError: if `class_names` are not the names of the directories, each once.
    """
    names = list(class_names)
    if isinstance(class_names, str) or len(set(names)) < len(names):
        raise ValueError(
            f"`class_names` must be a sequence of distinct names. Received: {class_names!r}"
        )
    missing = [name for name in names if name not in directories]
    unknown = [name for name in directories if name not in names]
    if missing or unknown:
        raise ValueError(
            f"{root} must contain one directory for each of `class_names` and no other directory. "
            f"Received: {describe_difference(missing, unknown)}"
        )
    return names


def find_images(directory: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Finds the images in a directory at any depth, and the other files. Both lists are sorted.

    Symbolic links to directories are followed. Hidden files and directories are skipped.

    Raises:
        PermissionError: if a directory cannot be read.
    """
    images, others = _images_below(list_directories(str(directory)), "")
    return [directory / path for path in images], [directory / path for path in others]


def _images_below(listing: Listing, path: str) -> tuple[list[str], list[str]]:
    """Returns the paths of the images below a directory of a listing, and of the other files."""
    images: list[str] = []
    others: list[str] = []
    for file in files_below(listing, path):
        (images if suffix(file) in IMAGE_SUFFIXES else others).append(file)
    return images, others


def describe_skipped(files: Iterable[str | pathlib.Path], directory: pathlib.Path) -> str:
    """Returns a sentence with the number of skipped files by suffix, and the supported suffixes."""
    files = list(files)
    return (
        f"{len(files)} files of {directory} are skipped ({_count_suffixes(files)}). Only files "
        f"with the suffixes {', '.join(sorted(IMAGE_SUFFIXES))} are read"
    )


def describe_missing(
    directory: pathlib.Path, others: Sequence[str | pathlib.Path], advice: str = ""
) -> str:
    """Returns the error for a directory that contains no images or does not exist.

    Args:
        directory: the directory.
        others: the other files in it.
        advice: a sentence with the way out, and a space behind it.
    """
    if not directory.is_dir():
        found = "no such directory"
    elif others:
        found = f"{len(others)} other files ({_count_suffixes(others)})"
    else:
        found = "no files"
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    return (
        f"{directory} must be a directory that contains images ({suffixes}). {advice}"
        f"Received: {found}"
    )


def _count_suffixes(files: Iterable[str | pathlib.Path]) -> str:
    """Returns the number of files by suffix, such as `"2 .tiff, 1 without a suffix"`."""
    suffixes = collections.Counter(suffix(str(file)) or "without a suffix" for file in files)
    return ", ".join(f"{count} {name}" for name, count in sorted(suffixes.items()))
