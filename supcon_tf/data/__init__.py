"""Labeled images, and tf.data pipelines that create batches of views.

- Loaders: `load_digits` (needs no download), `load_folder` (one directory per class, with the file
  formats of `IMAGE_SUFFIXES`), `load_idx` (files of MNIST), `load_tfds` (TensorFlow Datasets),
  `load_tfrecords` (TFRecord files).
- `verify_images` returns the damaged images of a directory, and `drop_damaged` removes those of any
  source.
- Sources, which the loaders return. `Source` is their base class. `ArrayImages` are decoded images
  in memory, `EncodedImages` are decoded when they are read, `IndexedImages` are read by a function
  from indices. All are an `ImageSource`. `decode_images` decodes small images once, into memory.
  A `TensorSource` holds samples that are not images.
- Batches for contrastive training: `multi_view_batches`; for the training of a classifier:
  `training_batches`. Both are shuffled and augmented, and every pass is a new epoch. `mix_batches`
  mixes their samples, `flatten_views` converts views to single images, and `map_batches` applies a
  function of yours. `batches_from_step` returns the batches from a step on.
- Labels: sources hold class ids or label distributions, such as multi-hot labels. `class_tree`
  creates label distributions of classes in a hierarchy.
- Batches in the order of the source, for evaluation and embedding: `evaluation_batches`.
"""

from supcon_tf.data.batches import (
    batches_from_step,
    evaluation_batches,
    flatten_views,
    map_batches,
    multi_view_batches,
    training_batches,
)
from supcon_tf.data.class_tree import class_tree
from supcon_tf.data.damaged import drop_damaged
from supcon_tf.data.decoded import decode_images
from supcon_tf.data.digits import load_digits
from supcon_tf.data.folder import load_folder
from supcon_tf.data.idx import load_idx
from supcon_tf.data.indexed_images import IndexedImages
from supcon_tf.data.mixed_batches import mix_batches
from supcon_tf.data.sources import ArrayImages, EncodedImages, ImageSource, Source
from supcon_tf.data.suffixes import IMAGE_SUFFIXES
from supcon_tf.data.tensors import TensorSource
from supcon_tf.data.tfds import load_tfds
from supcon_tf.data.tfrecords import load_tfrecords
from supcon_tf.data.verification import verify_images

__all__ = [
    "IMAGE_SUFFIXES",
    "ArrayImages",
    "EncodedImages",
    "ImageSource",
    "IndexedImages",
    "Source",
    "TensorSource",
    "batches_from_step",
    "class_tree",
    "decode_images",
    "drop_damaged",
    "evaluation_batches",
    "flatten_views",
    "load_digits",
    "load_folder",
    "load_idx",
    "load_tfds",
    "load_tfrecords",
    "map_batches",
    "mix_batches",
    "multi_view_batches",
    "training_batches",
    "verify_images",
]
