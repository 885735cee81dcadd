"""Checks of the data that `fit` and `evaluate` take, before Keras reads it."""

from typing import Any

import numpy as np
import tensorflow as tf

from supcon_tf.data.sources import Source


def check_data(x: Any, y: Any = None, validation_data: Any = None) -> None:
    """Checks the kinds of the arguments of `fit` and `evaluate`.

    Args:
        x: images, or a dataset.
        y: labels, if `x` holds no labels.
        validation_data: a tuple like the arguments `x` and `y`, or a dataset.

    Raises:
        ValueError: if the data is missing, a source of images or a dataset without batches, or
            labels are a list or names.
    """
    if x is None or isinstance(x, Source):
        raise ValueError(
            "`x` must be arrays or batches. Create batches of a source with "
            "`supcon_tf.data.multi_view_batches` to train an encoder, or with "
            "`supcon_tf.data.evaluation_batches` for unchanged images. "
            f"Received: {None if x is None else type(x).__name__}"
        )
    if isinstance(x, tf.data.Dataset):
        _require_batches(x.element_spec)
    _require_label_array("y", y)
    if isinstance(validation_data, (list, tuple)) and len(validation_data) > 1:
        _require_label_array("validation_data[1]", validation_data[1])


def require_no_images(labels: Any) -> None:
    """Raises `ValueError` if images are in the place of labels."""
    if labels is not None and tf.TensorShape(labels.shape).rank in (4, 5):
        raise ValueError(
            "Labels must not be images. If they are the second view, stack the views of a sample "
            "with `tf.stack(views, axis=1)`, and pass `(views, labels)`. "
            f"Received: labels of shape {tuple(labels.shape)}"
        )


def _require_batches(spec: Any) -> None:
    """Raises `ValueError` if the elements of a dataset, whose specs are given, are no batches."""
    if any(each.shape.rank == 0 for each in tf.nest.flatten(spec)):
        shapes = tf.nest.map_structure(lambda each: tuple(each.shape), spec)
        raise ValueError(
            "The elements of the dataset must be batches: use `dataset.batch(size)`. "
            f"Received: elements of the shapes {shapes}"
        )


def _require_label_array(argument: str, labels: Any) -> None:
    """Raises `ValueError` for a list of labels, which Keras takes for several outputs, or names."""
    if isinstance(labels, (list, tuple)):
        received = f"a {type(labels).__name__}"
        if any(getattr(each, "shape", ()) for each in labels):
            return  # arrays
    else:
        dtype = getattr(labels, "dtype", None)
        received = f"an array of dtype {dtype}"
        if not (dtype == tf.string or (isinstance(dtype, np.dtype) and dtype.kind in "OSU")):
            return
    raise ValueError(
        f"`{argument}` must be an array of numbers: pass `np.array(labels)` for a list, and "
        "`np.unique(names, return_inverse=True)[1]` for the names of classes. "
        f"Received: {received}"
    )
