"""Representations of batches, on all replicas of an encoder."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Encode = Callable[[Iterable[Any]], Iterator[NDArray[np.float32]]]


def build_encoding(encoder: keras.Model) -> Encode:
    """Builds a function that encodes batches in inference mode.

    Every replica encodes whole batches, so the representations do not depend on the number of
    replicas. With several workers, each worker encodes all batches that it receives.

    Args:
        encoder: a model from images to representations.

    Returns:
        A function that takes batches of images, arrays or structures of them, and yields their
        representations `[batch, dim]`. It keeps none in memory.
    """
    strategy = encoder.distribute_strategy
    # Of this worker only.
    replicas = len(strategy.experimental_local_results(strategy.run(lambda: tf.constant(0))))

    @tf.function(reduce_retracing=True)
    def encode_group(images: Any) -> tf.Tensor:
        return strategy.run(lambda images: encoder(images, training=False), (images,))

    def encode(batches: Iterable[Any]) -> Iterator[NDArray[np.float32]]:
        iterator = iter(batches)
        while group := list(itertools.islice(iterator, replicas)):
            # Every replica needs a batch. Those without one repeat the last batch.
            of_replicas = itertools.chain(group, itertools.repeat(group[-1]))
            inputs = strategy.experimental_distribute_values_from_function(
                lambda context, of_replicas=of_replicas: next(of_replicas)
            )
            outputs = strategy.experimental_local_results(encode_group(inputs))
            for output in outputs[: len(group)]:
                yield tf.cast(output, tf.float32).numpy()

    return encode
