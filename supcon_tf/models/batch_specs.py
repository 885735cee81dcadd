"""Shapes of the batches of a dataset, before the first batch is drawn."""

from typing import Any

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
