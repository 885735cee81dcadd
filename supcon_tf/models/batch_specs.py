"""Shapes of the batches of a dataset or of arrays, before the first batch is drawn."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from supcon_tf._epochs import DATASETS


def global_batch_spec(
    dataset: tf.data.Dataset | tf.distribute.DistributedDataset, replicas: int
) -> Any:
    """Returns the specs of the global batches of a dataset.

    Args:
        dataset: a `tf.data.Dataset` of global batches, or a `tf.distribute.DistributedDataset`,
            whose elements hold one batch per replica.
        replicas: the number of replicas.
    """
    if isinstance(dataset, tf.data.Dataset):
        return dataset.element_spec

    def join_replicas(spec: tf.TypeSpec) -> tf.TensorSpec:
        first, *_ = tf.nest.flatten(spec, expand_composites=True)
        rows = first.shape[0] and first.shape[0] * replicas
        return tf.TensorSpec(tf.TensorShape([rows]).concatenate(first.shape[1:]), first.dtype)

    return tf.nest.map_structure(join_replicas, dataset.element_spec)


def array_batch_spec(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Returns the specs of the batches that Keras takes from arrays, of any number of rows.

    Args:
        x: the argument of `fit`.
        y: the argument of `fit`.
        sample_weight: the argument of `fit`.

    Returns:
        The specs, or `None` if the arguments are not NumPy arrays or tensors of numbers.
    """
    batch = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
    arrays = [array for array in tf.nest.flatten(batch) if array is not None]
    if not arrays or not all(_has_rows_of_numbers(array) for array in arrays):
        return None

    def to_spec(array: Any) -> tf.TensorSpec | None:
        if array is None:
            return None
        dtype = tf.as_dtype(array.dtype)
        # Keras converts all floating-point arrays to this type.
        return tf.TensorSpec(
            [None, *array.shape[1:]], keras.config.floatx() if dtype.is_floating else dtype
        )

    return tf.nest.map_structure(to_spec, batch)


def rows_per_replica(data: Any, replicas: int) -> int | None:
    """Returns how many rows of every batch each replica receives, or `None` if it can vary.

    Args:
        data: the argument `x` of `fit` or `evaluate`.
        replicas: the number of replicas.
    """
    if not isinstance(data, DATASETS):
        return None
    specs = tf.nest.flatten(global_batch_spec(data, replicas))
    sizes = {spec.shape[0] if spec.shape.rank else None for spec in specs}
    size = sizes.pop() if len(sizes) == 1 else None
    return None if size is None or size % replicas else size // replicas


def _has_rows_of_numbers(array: Any) -> bool:
    if not isinstance(array, (np.ndarray, tf.Tensor)) or array.ndim == 0:
        return False
    dtype = array.dtype.as_numpy_dtype if isinstance(array, tf.Tensor) else array.dtype
    return np.dtype(dtype).kind in "biuf"
