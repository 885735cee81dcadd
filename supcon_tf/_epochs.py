"""Training batches as a function of the step, so that every pass over a dataset is a new epoch.

A `tf.data.Dataset` repeats itself in every pass unless it holds state. These datasets hold one
number, the passes so far, which is the number of the next epoch. The models of this library do not
depend on it: `fit` looks up the function of the step, and reads one dataset that begins at the step
of its first epoch and has no end.
"""

import dataclasses
import itertools
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

# Datasets with known specs of their batches.
DATASETS = (tf.data.Dataset, tf.distribute.DistributedDataset)

Step = Any  # an integer or a scalar int64 tensor


class Epochs(Protocol):
    """The batches of all epochs.

    Attributes:
        steps_per_epoch: number of training steps in an epoch.
    """

    steps_per_epoch: int

    def from_step(self, step: int) -> Any:
        """Returns the batches from a step on, without an end."""

    def epoch(self, number: Step) -> Any:
        """Returns the batches of one epoch."""


@dataclasses.dataclass
class LocalEpochs:
    """The batches of all epochs as a function of the step.

    Attributes:
        steps_per_epoch: number of training steps in an epoch.
        between: function from the first and the last step (exclusive) to a dataset of the batches
            of these steps.
        elements_per_step: number of elements of the dataset that make up the batch of one step.
    """

    steps_per_epoch: int
    between: Callable[[Step, Step], tf.data.Dataset]
    elements_per_step: int = 1

    def from_step(self, step: int) -> tf.data.Dataset:
        """Returns the batches from a step on, without an end."""
        endless = self.between(step, tf.int64.max)
        return endless.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def epoch(self, number: Step) -> tf.data.Dataset:
        """Returns the batches of one epoch."""
        first = number * self.steps_per_epoch
        batches = self.between(first, first + self.steps_per_epoch)
        length = self.steps_per_epoch * self.elements_per_step
        return batches.apply(tf.data.experimental.assert_cardinality(length))


_epochs: weakref.WeakKeyDictionary[Any, Epochs] = weakref.WeakKeyDictionary()


def find_epochs(dataset: Any) -> Epochs | None:
    """Returns the batches of all epochs of a dataset, or `None` if every pass is the same."""
    return _epochs.get(dataset) if isinstance(dataset, DATASETS) else None


def first_epoch(data: Any) -> Any:
    """Returns the first epoch of a dataset, or `data` if it has no epochs."""
    epochs = find_epochs(data)
    return data if epochs is None else epochs.epoch(0)


def epoch_dataset(epochs: LocalEpochs) -> tf.data.Dataset:
    """Creates a dataset with one epoch in every pass: the first one in the first pass."""
    passes = itertools.count()
    # `from_generator` would change how the C library returns memory in the whole process.
    numbers = tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(tf.numpy_function(lambda: next(passes), [], tf.int64), [])
    )
    length = epochs.steps_per_epoch * epochs.elements_per_step
    batches = numbers.flat_map(epochs.epoch).apply(tf.data.experimental.assert_cardinality(length))
    return remember_epochs(batches, epochs)


def map_epochs(
    dataset: tf.data.Dataset, function: Callable[[tf.data.Dataset, Step], tf.data.Dataset]
) -> tf.data.Dataset:
    """Transforms the batches of all epochs.

    Args:
        dataset: batches, whose every pass is a new epoch or the same.
        function: function from batches and the step of the first one to a dataset of the same
            length.
    """
    epochs = find_epochs(dataset)
    if not isinstance(epochs, LocalEpochs):
        return function(dataset, 0)
    between = epochs.between

    def transformed(first: Step, last: Step) -> tf.data.Dataset:
        return function(between(first, last), first)

    return epoch_dataset(dataclasses.replace(epochs, between=transformed))


def number_passes(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset whose passes are epochs: the same batches, but with increasing steps.

    A dataset of unknown or infinite length is returned unchanged.
    """
    length = int(dataset.cardinality())
    if find_epochs(dataset) is not None or length <= 0:
        return dataset

    def between(first: Step, last: Step) -> tf.data.Dataset:
        return dataset.repeat().skip(first % length).take(last - first)

    return epoch_dataset(LocalEpochs(length, between))


def remember_epochs(dataset: Any, epochs: Epochs) -> Any:
    """Lets `find_epochs` find the batches of all epochs of a dataset, and returns the dataset."""
    _epochs[dataset] = epochs
    return dataset
