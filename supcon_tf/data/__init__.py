"""Labeled images, and tf.data pipelines that create batches of views.

- Loaders: `load_digits` (needs no download), `load_folder` (one directory per class, with the file
  formats of `IMAGE_SUFFIXES`), `load_idx` (files of MNIST), `load_tfds` (TensorFlow Datasets).
- Sources, which the loaders return: `ArrayImages` are decoded images in memory, `EncodedImages` are
  decoded when they are read. Both are an `ImageSource`.
- Batches for training: `multi_view_batches`. `mix_batches` mixes their samples, and `flatten_views`
  converts views to single images.
- Batches for evaluation and embedding: `image_batches`.
"""

from supcon_tf.data.batches import flatten_views, image_batches, multi_view_batches
from supcon_tf.data.digits import load_digits
from supcon_tf.data.folder import IMAGE_SUFFIXES, load_folder
from supcon_tf.data.idx import load_idx
from supcon_tf.data.mixed_batches import mix_batches
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
