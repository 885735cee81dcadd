"""Labeled images and the tf.data pipelines that turn them into batches of views.

- Loaders: `load_digits` (no download), `load_folder` (a directory per class, of files that end in
  one of `IMAGE_SUFFIXES`), `load_idx` (MNIST-style files), `load_tfds` (TensorFlow Datasets).
- Sources, which they return: `ArrayImages` in memory, `EncodedImages` decoded when read; both are
  an `ImageSource`.
- Batches: `multi_view_batches` to train on, mixed by `mix_batches` or one view a row by
  `flatten_views`; `image_batches` to evaluate or to embed.
"""

from supcon_tf.data.digits import load_digits
from supcon_tf.data.folder import IMAGE_SUFFIXES, load_folder
from supcon_tf.data.idx import load_idx
from supcon_tf.data.mixed_batches import mix_batches
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
