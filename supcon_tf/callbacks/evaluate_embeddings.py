"""Evaluation of the representations of a held-out set during training."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf._checks import check_choice, check_integer
from supcon_tf.evaluation import knn_accuracy, retrieval_metrics
from supcon_tf.evaluation.inputs import check_class_ids
from supcon_tf.evaluation.retrieval import METRICS
from supcon_tf.models.encoding import Encode, build_encoding
from supcon_tf.models.views import first_array, map_arrays

# Reads all batches of images and labels once.
_Read = Callable[[], Iterator[tuple[Any, Any]]]


class EvaluateEmbeddings(keras.callbacks.Callback):
    """Logs the quality of the representations of a held-out set at the end of epochs.

    The contrastive loss depends on the batch size and on the temperature, and can fall while the
    representations get worse. This callback adds to the logs

    - `val_knn_accuracy`, the accuracy of `evaluation.knn_accuracy` on the held-out set, with the
      training set as neighbors;
    - `val_` and the name of each value of `evaluation.retrieval_metrics` of the held-out set, in
      which each row retrieves from all others, for example `val_recall_at_1`.

    `EarlyStopping`, `ModelCheckpoint` and `CSVLogger` can then follow these names. Place this
    callback before them in the list: Keras passes the same logs to one callback after another. The
    history of `fit` and the progress bar always come last.

    The representations are the outputs of `model.encoder`, or of a Keras model without this
    attribute, in inference mode. The evaluation does not change the training. Under a strategy,
    every replica encodes its share of the batches, as in `evaluate` with its own moving statistics
    of batch normalization. These are equal if the batch normalization is synchronized.

    The values are measured after every epoch whose number, counted from 1 over the whole training,
    is a multiple of `every`. The logs of other epochs do not contain them, as with
    `validation_freq` of Keras. `CSVLogger` takes its columns from the first epoch, and needs
    `every=1`.

    Examples:
        >>> import keras, numpy as np, supcon_tf
        >>> images, labels = np.random.rand(20, 32, 32, 3).astype("float32"), np.arange(20) % 2
        >>> model = supcon_tf.SupConModel(supcon_tf.encoders.resnet(10, stem="cifar", width=0.125))
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss())
        >>> evaluate = supcon_tf.callbacks.EvaluateEmbeddings(
        ...     (images[:10], labels[:10]), (images[10:], labels[10:])
        ... )
        >>> stop = keras.callbacks.EarlyStopping("val_knn_accuracy", mode="max", patience=3)
        >>> views = np.stack([images, images[:, :, ::-1]], axis=1)
        >>> history = model.fit(views, labels, callbacks=[evaluate, stop], verbose=0).history
        >>> sorted(history)
        ['loss', 'val_knn_accuracy', 'val_map_at_r', 'val_recall_at_1']

    Args:
        train: the neighbors of k-NN: `(images, labels)`, or a `tf.data.Dataset` of batches of them,
            as from `supcon_tf.data.evaluation_batches`. Labels are `[rows]` class ids, none of them
            -1. Choose a part of a large training set, since all of it is encoded every time.
        test: the held-out set, like `train`. Not the test set, if it decides when to stop.
        every: number of epochs from one evaluation to the next.
        k: number of neighbors of k-NN; all rows of `train` if they are fewer.
        metrics: names for `evaluation.retrieval_metrics`; none for k-NN only.
        ks: as in `evaluation.retrieval_metrics`.
        batch_size: number of images that a replica encodes at a time, if `train` or `test` are
            arrays.

    Raises:
        ValueError: if an argument is not as described; in `fit`, if the labels of a dataset are not
            as described, or representations are not finite.
    """

    def __init__(
        self,
        train: Any,
        test: Any,
        every: int = 1,
        *,
        k: int = 200,
        metrics: Sequence[str] = ("recall", "map_at_r"),
        ks: Sequence[int] = (1,),
        batch_size: int = 256,
    ):
        super().__init__()
        check_integer("batch_size", batch_size)
        self._read_train = _reader("train", train, batch_size)
        self._read_test = _reader("test", test, batch_size)
        self.every = check_integer("every", every)
        self.k = check_integer("k", k)
        self.metrics = [check_choice("metrics", name, METRICS) for name in metrics]
        self.ks = [check_integer("ks", k) for k in ks]
        self._encode: Encode | None = None

    def set_model(self, model: keras.Model) -> None:
        """Takes the model whose encoder is evaluated."""
        super().set_model(model)
        self._encode = build_encoding(getattr(model, "encoder", model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the values to the logs."""
        if logs is None or (epoch + 1) % self.every:
            return
        train, train_labels = self._represent(self._read_train)
        test, labels = self._represent(self._read_test)
        k = min(self.k, len(train))
        values = {"knn_accuracy": knn_accuracy(train, train_labels, test, labels, k=k)}
        if self.metrics:
            values |= retrieval_metrics(test, labels, metrics=self.metrics, ks=self.ks)
        logs.update({f"val_{name}": value for name, value in values.items()})

    def _represent(self, read: _Read) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Returns representations and labels of all rows of a set."""
        assert self._encode is not None
        labels = []

        def images() -> Iterator[Any]:
            for batch, batch_labels in read():
                labels.append(np.asarray(batch_labels))
                yield batch

        representations = np.concatenate(list(self._encode(images())))
        return representations, np.concatenate(labels)


def _reader(argument: str, data: Any, batch_size: int) -> _Read:
    """Returns a function that reads the batches of a dataset or of arrays."""
    if isinstance(data, tf.data.Dataset):
        pairs = isinstance(data.element_spec, tuple) and len(data.element_spec) == 2
        if not pairs or data.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                f"`{argument}` must be a finite dataset of batches `(images, labels)`. "
                f"Received: {data.element_spec}, cardinality={data.cardinality()}"
            )
        return lambda: iter(data)
    if not isinstance(data, tuple) or len(data) != 2:
        raise ValueError(
            f"`{argument}` must be `(images, labels)` or a dataset. Received: {type(data)}"
        )
    images, rows = data[0], len(first_array(data[0]))
    labels = check_class_ids(f"{argument}[1]", data[1], rows)

    def read() -> Iterator[tuple[Any, Any]]:
        for first in range(0, rows, batch_size):
            part = slice(first, first + batch_size)
            yield (
                map_arrays(lambda x, part=part: tf.convert_to_tensor(x[part]), images),
                labels[part],
            )

    return read
