"""The first rows of the data that `fit`, `evaluate` and `predict` take."""

import types
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._epochs import DATASETS
from supcon_tf.models.views import map_arrays

_ROWS = 32


def is_costly_to_read(data: Any) -> bool:
    """Returns whether the first batch is computed again each time that it is read."""
    return isinstance(data, (*DATASETS, keras.utils.PyDataset))


def read_first_rows(data: Any) -> tuple[Any, Any]:
    """Reads the first rows of the inputs in the first batch.

    Args:
        data: the argument `x` of `fit`, `evaluate` or `predict`.

    Returns:
        The first rows, under a strategy those of one replica, or `None` if there is no batch or the
        kind of data is unknown; and `data` with all batches, which replaces the argument.
    """
    if isinstance(data, types.GeneratorType):
        batch = next(data, None)
        return _rows_of(batch), data if batch is None else _prepend(batch, data)
    if isinstance(data, keras.utils.PyDataset):
        return _rows_of(data[0]), data
    if isinstance(data, DATASETS):
        return _rows_of(tf.nest.map_structure(_on_one_replica, next(iter(data), None))), data
    if all(getattr(array, "shape", ()) for array in tf.nest.flatten(data)):
        return first_rows(data), data
    return None, data


def first_rows(inputs: Any) -> Any:
    """Returns the first rows of an array, or of each array in a structure."""
    return map_arrays(lambda x: x[:_ROWS], inputs)


def _rows_of(batch: Any) -> Any:
    if batch is None:
        return None
    inputs, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    return first_rows(inputs)


def _prepend(batch: Any, rest: Iterator[Any]) -> Iterator[Any]:
    """Returns a generator, because Keras takes no other iterators."""
    yield batch
    yield from rest


def _on_one_replica(x: Any) -> Any:
    return x.values[0] if isinstance(x, tf.distribute.DistributedValues) else x
