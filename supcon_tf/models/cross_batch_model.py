"""The model that compares a batch with itself and with the projections of earlier batches."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.augmentation import Mixing
from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.pairwise import PairwiseSupConLoss
from supcon_tf.losses.temperature import at_step
from supcon_tf.models.contrastive_model import ContrastiveModel
from supcon_tf.models.gradient_cache import differentiate
from supcon_tf.models.key_queue import KeyQueue, Keys, gather_keys
from supcon_tf.models.supcon_model import SupConModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class CrossBatchSupConModel(SupConModel):
    r"""An encoder trained as in `SupConModel`, with a memory of earlier projections (XBM).

    Every anchor is compared with the other rows of the global batch and with the rows of a memory
    $M$, the projections of earlier batches, which have no gradient. With `SupConLoss` the loss of
    anchor $i$ is

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log \frac{\exp(z_i \cdot z_p / \tau)}
        {\sum_{a \in A(i) \cup M} \exp(z_i \cdot z_a / \tau)}$$

    where $A(i)$ are the other rows of the batch, and the positives $P(i)$ are the rows of the
    class of the anchor in $A(i)$ and $M$. After the step, the projections of the batch replace the
    oldest ones in the memory. In contrast to `MomentumSupConModel`, samples need no second view and
    there is no momentum encoder, so the projections in the memory are those of earlier weights.
    This works if the encoder changes slowly: use a memory of few batches, or small learning rates.

    The memory is the same on all replicas, and is saved with the model. `evaluate` compares with
    it, and changes neither the memory nor the weights.

    Reference: Wang et al., "Cross-Batch Memory for Embedding Learning", 2020
    (https://arxiv.org/abs/1912.06798).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.CrossBatchSupConModel(encoder, memory_size=16)
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
        >>> images = np.random.rand(8, 32, 32, 3).astype("float32")
        >>> ids = np.array([0, 1, 0, 1, 2, 1, 2, 1])
        >>> history = model.fit(images, ids, batch_size=4, shuffle=False, verbose=0)
        >>> model.queue.labels.numpy()[:8]
        array([0, 1, 0, 1, 2, 1, 2, 1])

    Args:
        encoder: as in `SupConModel`.
        projection_head: as in `SupConModel`.
        memory_size: number of projections in the memory. Every view is a projection of its own.
        num_classes: `None` if labels are class ids, or one-hot rows for `SupConLoss`. For
            `GeneralizedSupConLoss`, the number of classes of the label distributions.
        augmenter: as in `SupConModel`.
        num_views: as in `SupConModel`.
        mixing: as in `SupConModel`. The memory holds the mixed labels.
        micro_batch_size: as in `SupConModel`.
        name: name of the model.

    Attributes:
        queue: the memory. `queue.embeddings` is `[memory_size, dim]` float32, zero in empty places.
            `queue.labels` is `[memory_size]` int64 class ids or `[memory_size, num_classes]`
            float32 distributions. `queue.num_enqueued` is int64, the number of projections that
            have entered the memory.

    Raises:
        ValueError: if an argument is not as described; in `compile`, if `loss` is not a
            `SupConLoss` without `positives_cap` or a `GeneralizedSupConLoss`, with
            `cross_replica=True`, or has `loss_weights`; in training, if the labels do not fit
            `num_classes`.
    """

    _compares_samples = False  # but with those in the memory too

    _parts = (*ContrastiveModel._parts, "mixing")

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        memory_size: int,
        num_classes: int | None = None,
        augmenter: keras.Layer | None = None,
        num_views: int = 2,
        mixing: Mixing | keras.Layer | None = None,
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        memory_size = check_integer("memory_size", memory_size)
        if num_classes is not None:
            num_classes = check_integer("num_classes", num_classes, least=2)
        if kwargs.pop("distillation", None) is not None:
            raise ValueError(
                "`distillation` is an argument of `SupConModel` and `MomentumSupConModel` only. "
                "Received: distillation in CrossBatchSupConModel"
            )
        super().__init__(
            encoder,
            projection_head,
            augmenter=augmenter,
            num_views=num_views,
            mixing=mixing,
            micro_batch_size=micro_batch_size,
            name=name,
            **kwargs,
        )
        self.memory_size = memory_size
        self.num_classes = num_classes
        _, dim = self.projection_head.compute_output_shape(self.encoder.output_shape)
        self.queue = KeyQueue(memory_size, dim, num_classes=num_classes, name="queue")

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Configures the model for training, like `keras.Model.compile`.

        Raises:
            ValueError: if `loss` cannot compare a batch with a memory, or has `loss_weights`.
        """
        compares_rows = isinstance(loss, ContrastiveLoss) and not isinstance(
            loss, PairwiseSupConLoss
        )
        if (
            not compares_rows
            or not loss.cross_replica
            or getattr(loss, "positives_cap", None) is not None
            or loss_weights is not None
        ):
            raise ValueError(
                "`loss` must be a SupConLoss without `positives_cap` or a GeneralizedSupConLoss, "
                "with `cross_replica=True`, because the memory holds the rows of all replicas, and "
                f"without `loss_weights`. Received: loss={loss}, loss_weights={loss_weights}"
            )
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the encoder and the projection head, then the memory."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        views, labels = self._mix(views, labels, training=True)
        projections, loss, gradients = differentiate(
            self,
            views,
            lambda projections: self._total_loss(
                views, labels, None, projections, sample_weight, training=True
            ),
            self.micro_batch_size,
        )
        self._apply_gradients(gradients)
        self.queue.enqueue(gather_keys(self._keys(projections, labels)))
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def _total_loss(
        self,
        views: tf.Tensor,
        labels: tf.Tensor,
        soft_targets: tf.Tensor | None,
        projections: tf.Tensor,
        sample_weight: tf.Tensor | None,
        training: bool,
    ) -> tf.Tensor:
        """Computes the loss of the batch and the memory."""
        with at_step(self._current_step):
            loss = self.loss.contrast(
                projections,
                labels,
                tf.stop_gradient(self.queue.embeddings.value),
                self.queue.labels.value,
                ref_mask=self.queue.is_filled,
                include_batch=True,
                sample_weight=sample_weight,
            )
        return self._add_regularization([loss])

    def _keys(self, projections: tf.Tensor, labels: tf.Tensor) -> Keys:
        """Returns the rows of this replica and their labels, as the memory holds them."""
        _, dim = self.queue.embeddings.shape
        rows = tf.reshape(tf.stop_gradient(projections), [-1, dim])
        row_labels = self.queue.convert_labels(self.loss, labels)
        if len(labels.shape) < 3 and len(projections.shape) == 3:
            row_labels = tf.repeat(row_labels, tf.shape(projections)[1], axis=0)
        return Keys(rows, row_labels, None)

    def _can_lack_positives(self, x: Any) -> bool:
        return False  # The memory can hold positives.

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "memory_size": self.memory_size,
            "num_classes": self.num_classes,
        }
