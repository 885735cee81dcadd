"""Labeled samples of any kind in memory: rows of a table, token ids, signals."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf.data.sources import Source


class TensorSource(Source):
    """Samples in memory, each of which is a tensor or a structure of tensors.

    A transform of these samples is a function `transform(sample, seed)` of TensorFlow operations.
    It receives one sample and a seed `[2]` int64 for `tf.random.stateless_*`, which differs between
    the views of a sample and between epochs, and returns one view.

    Examples:
        >>> import numpy as np, tensorflow as tf, supcon_tf
        >>> table = {"age": np.arange(6.0), "income": np.ones([6, 3])}
        >>> source = supcon_tf.data.TensorSource(table, [0, 1, 0, 1, 0, 1], ["no", "yes"])
        >>> def mask(sample, seed):
        ...     kept = tf.random.stateless_uniform([3], seed) > 0.2
        ...     return {**sample, "income": tf.where(kept, sample["income"], 0.0)}
        >>> views = supcon_tf.data.multi_view_batches(source, mask, batch_size=4)
        >>> views.element_spec[0]["income"].shape
        TensorShape([4, 2, 3])

    Args:
        samples: an array `[samples, ...]`, or a dict, list or tuple of such arrays.
        labels: class ids `[samples]` or label distributions `[samples, classes]`, as in `Source`.
        class_names: names of the classes.

    Attributes:
        samples: the samples, with arrays as tensors.

    Raises:
        ValueError: if the arrays have different lengths, or labels are not as described.
    """

    def __init__(self, samples: Any, labels: NDArray[Any], class_names: Sequence[str]):
        super().__init__(labels, class_names)
        with tf.device("CPU:0"):
            self.samples = tf.nest.map_structure(tf.constant, samples)
        lengths = {x.shape[0] if x.shape.rank else None for x in tf.nest.flatten(self.samples)}
        if lengths != {len(self)}:
            raise ValueError(
                "`samples` must hold arrays of the length of `labels`. "
                f"Received: arrays of lengths {sorted(map(str, lengths))}, {len(self)} labels"
            )

    def take(self, indices: NDArray[Any]) -> "TensorSource":
        """Returns a source of the samples with the given indices."""
        samples = tf.nest.map_structure(lambda x: x.numpy()[np.asarray(indices)], self.samples)
        return TensorSource(samples, self.labels[np.asarray(indices)], self.class_names)

    def check_transform(self, transform: Any) -> None:
        """Raises `ValueError` unless the transform is a function."""
        if not callable(transform) or hasattr(transform, "num_draws"):
            raise ValueError(
                "`transform` must be a function of a sample and a seed for the samples of a "
                f"TensorSource. Received: {transform!r}"
            )

    def create_views(
        self,
        indices: tf.Tensor,
        seeds: tf.Tensor,
        num_views: int,
        transform: Callable[[Any, tf.Tensor], Any],
    ) -> Any:
        """Calls the transform for each view of each sample."""

        def views_of_sample(sample_and_seed: tuple[Any, tf.Tensor]) -> Any:
            sample, seed = sample_and_seed
            seeds = tf.random.experimental.stateless_split(seed, num_views)
            views = [transform(sample, view_seed) for view_seed in tf.unstack(seeds)]
            return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *views)

        samples = tf.nest.map_structure(lambda x: tf.gather(x, indices), self.samples)
        one = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape[1:], x.dtype), (self.samples, seeds)
        )
        outputs = tf.function(views_of_sample).get_concrete_function(one).structured_outputs
        signature = tf.nest.map_structure(tf.TensorSpec.from_tensor, outputs)
        return tf.map_fn(views_of_sample, (samples, seeds), fn_output_signature=signature)
