"""A queue of keys that anchors are compared with."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from supcon_tf.distribution.replicas import replica_context
from supcon_tf.labels import UNLABELED
from supcon_tf.losses.embedding import EmbeddingLoss, convert_labels


class Keys(NamedTuple):
    """Rows that anchors are compared with.

    Attributes:
        embeddings: `[keys, dim]` float32 projections of unit length.
        labels: `[keys]` int64 class ids, or `[keys, classes]` float32 distributions.
        soft_targets: `[keys, classes]` float32 distributions of a teacher, `None` without one.
    """

    embeddings: tf.Tensor
    labels: tf.Tensor
    soft_targets: tf.Tensor | None


class KeyQueue(keras.layers.Layer):
    """A first-in, first-out queue of keys, of fixed size and the same on all replicas.

    Args:
        size: the number of keys it holds.
        dim: the width of the embeddings.
        num_classes: `None` if labels are class ids, or the number of classes of label
            distributions.
        has_soft_targets: whether keys have soft targets of a teacher. Requires `num_classes`.

    Attributes:
        embeddings: `[size, dim]` float32, zero in empty places.
        labels: `[size]` int64 class ids, -1 in empty places and for keys without a label; or
            `[size, num_classes]` float32 distributions, zero there.
        soft_targets: `[size, num_classes]` float32 distributions of the teacher, zero in empty
            places; `None` without a teacher.
        num_enqueued: int64, the number of keys that have entered the queue since its creation. The
            place of the next key is `num_enqueued % size`.
    """

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        num_classes: int | None = None,
        has_soft_targets: bool = False,
        name: str | None = None,
    ):
        # Embeddings stay in float32 under every dtype policy.
        super().__init__(name=name, dtype="float32", autocast=False)
        self.size = size
        self.embeddings = self._variable("embeddings", [size, dim], "float32", 0)
        self.soft_targets = None
        if num_classes is None:
            self.labels = self._variable("labels", [size], "int64", UNLABELED)
        else:
            self.labels = self._variable("labels", [size, num_classes], "float32", 0)
            if has_soft_targets:
                self.soft_targets = self._variable(
                    "soft_targets", [size, num_classes], "float32", 0
                )
        self.num_enqueued = self._variable("num_enqueued", [], "int64", 0)
        self.built = True

    def _variable(self, name: str, shape: list[int], dtype: str, value: int) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
        )

    def convert_labels(self, loss: EmbeddingLoss, labels: tf.Tensor) -> tf.Tensor:
        """Converts labels to the form in which the queue holds them.

        Args:
            loss: the loss that compares them.
            labels: labels as the loss accepts them.

        Returns:
            One class id or label distribution for each sample, or for each view.

        Raises:
            ValueError: if the labels do not fit the number of classes of the queue.
        """
        rows = convert_labels(loss, labels)
        if rows.shape[1:] != self.labels.shape[1:]:
            num_classes = self.labels.shape[1] if len(self.labels.shape) > 1 else None
            raise ValueError(
                "`num_classes` must be None for class ids (SupConLoss), or the number of classes "
                "of label distributions (GeneralizedSupConLoss). Received: "
                f"num_classes={num_classes}, labels of shape {labels.shape} for {loss.name}"
            )
        return tf.cast(rows, self.labels.dtype)

    @property
    def keys(self) -> Keys:
        """All places of the queue as keys, the empty ones included."""
        return Keys(*(None if x is None else x.value for x in self._storage))

    @property
    def is_filled(self) -> tf.Tensor:
        """`[size]` booleans: whether a place holds a key."""
        return tf.range(self.size, dtype=tf.int64) < self.num_enqueued.value

    def enqueue(self, keys: Keys) -> None:
        """Replaces the oldest keys.

        Args:
            keys: the keys of the global batch. Every replica writes the same into its own copy of
                the queue.
        """
        count = tf.shape(keys.embeddings, out_type=tf.int64)[0]
        first = tf.maximum(count - self.size, 0)  # of the keys that remain
        places = (self.num_enqueued.value + tf.range(first, count)) % self.size
        for variable, new in zip(self._storage, keys, strict=True):
            if variable is not None:
                updated = tf.tensor_scatter_nd_update(variable.value, places[:, None], new[first:])
                variable.assign(updated)
        self.num_enqueued.assign_add(count)

    @property
    def _storage(self) -> tuple[Any, Any, Any]:
        return self.embeddings, self.labels, self.soft_targets


def gather_keys(keys: Keys) -> Keys:
    """Returns the keys of the global batch."""
    replica = replica_context()
    if replica is None:
        return keys
    return Keys(*(None if x is None else replica.all_gather(x, axis=0) for x in keys))
