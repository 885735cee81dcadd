"""The suffixes of image files."""

import os

import tensorflow as tf

# Lower-case suffixes of the image formats that TensorFlow decodes. TensorFlow 2.19 supports neither
# WebP nor JPEG XL.
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png"}
IMAGE_SUFFIXES |= {f".{name}" for name in ("jxl", "webp") if hasattr(tf.io, f"decode_{name}")}


def suffix(file: str) -> str:
    """Returns the lower-case suffix of a file, or an empty string, as `pathlib` defines it."""
    stem, _, end = os.path.basename(file).rpartition(".")
    return f".{end.lower()}" if stem and end else ""
