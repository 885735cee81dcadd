"""Labelled images and the tf.data pipelines that turn them into batches of views."""

from supcon_tf.data.digits import load_digits
from supcon_tf.data.folder import IMAGE_SUFFIXES, load_folder
from supcon_tf.data.idx import load_idx
from supcon_tf.data.mixing import mix_batches
from supcon_tf.data.pipeline import flatten_views, image_batches, multi_view_batches
from supcon_tf.data.sources import ArrayImages, EncodedImages, ImageSource
from supcon_tf.data.tfds import load_tfds

__all__ = [
    "IMAGE_SUFFIXES",
    "ArrayImages",
    "EncodedImages",
    "ImageSource",
    "flatten_views",
    "image_batches",
    "load_digits",
    "load_folder",
    "load_idx",
    "load_tfds",
    "mix_batches",
    "multi_view_batches",
]
