"""The model that compares anchors with the keys of a momentum encoder and a queue."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from supcon_tf._checks import check_integer
from supcon_tf.augmentation import Mixing
from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.temperature import at_step
from supcon_tf.models.arguments import require_momentum_or_schedule
from supcon_tf.models.batch_specs import global_batch_spec
from supcon_tf.models.distillation import Distillation
from supcon_tf.models.ema import Pairs, clone, sync_trainable, update_ema
from supcon_tf.models.gradient_cache import differentiate, map_micro_batches
from supcon_tf.models.hyperparameter import Hyperparameter
from supcon_tf.models.key_queue import KeyQueue, Keys, gather_keys
from supcon_tf.models.supcon_model import SupConModel
from supcon_tf.models.views import first_array, has_views, is_multi_crop, map_arrays


class _Anchors(NamedTuple):
    """Views to train on, `[batch, views - 1, ...]`, with their labels and soft targets."""

    views: Any
    labels: tf.Tensor
    soft_targets: tf.Tensor | None


@keras.saving.register_keras_serializable(package="supcon_tf")
class MomentumSupConModel(SupConModel):
    r"""An encoder trained against a momentum encoder and a queue of its projections (MoCo).

    The last view of each sample is its key. The momentum encoder and the momentum head project it,
    without a gradient. The other views are anchors, which the trained encoder and head project.
    The model compares an anchor $q_i$ with the keys of the global batch $B$ and with the keys of
    earlier batches in a queue $Q$ of fixed size. The positives $P(i)$ of an anchor are the keys of
    its class in $B$ and $Q$, and always the key of its own sample. With `SupConLoss` the loss is

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(q_i \cdot k_p / \tau)}{\sum_{a \in B \cup Q} \exp(q_i \cdot k_a / \tau)}$$

    where $Q$ is the queue before the step, without its empty places. Every contrastive loss of this
    library can compare the same rows. After the step of the optimizer, the momentum weights become

    $$\theta_k \leftarrow m \theta_k + (1 - m) \theta_q$$

    and the keys of the batch replace the oldest keys in the queue. If all samples have class id -1,
    this is MoCo. If some have, it is UniMoCo.

    The momentum encoder runs in training mode. Its batch normalization uses the statistics of the
    batch of keys, and its moving statistics are its own, not averages of the encoder's. MoCo
    shuffles the samples between GPUs, because the statistics of one GPU's part of the batch reveal
    which keys belong to it. This model does not shuffle. On several replicas, use synchronized
    batch normalization, whose statistics are those of the global batch.

    The queue is the same on all replicas. It is saved with the model, and so is the momentum
    encoder.

    Metrics take the projections of all views, the key last. `evaluate` compares anchors with the
    keys of the batch and of the queue, and changes neither the queue nor the weights. Calling the
    model, `encode` and `predict` use the trained encoder.

    References: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", 2020
    (https://arxiv.org/abs/1911.05722); Dai et al., "UniMoCo", 2021, for labels in the queue
    (https://arxiv.org/abs/2103.10773); Khosla et al., 2020, section 4.1, for 79.1 % on ImageNet
    with a queue of 8192 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.MomentumSupConModel(encoder, queue_size=8, momentum=0.9)
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
        >>> views = np.random.rand(8, 2, 32, 32, 3).astype("float32")
        >>> ids = np.array([0, 1, 0, 1, 0, 1, 0, 1])
        >>> history = model.fit(views, ids, batch_size=4, shuffle=False, verbose=0)
        >>> model.queue.labels.numpy()
        array([0, 1, 0, 1, 0, 1, 0, 1])

    Args:
        encoder: a built model from images to representations `[batch, dim]`. The model copies it,
            with its weights, as the momentum encoder.
        projection_head: a model from representations to projections `[batch, dim]`. The default has
            one hidden layer as wide as the representation, and 128 outputs. The model copies it as
            the momentum head.
        queue_size: the number of keys in the queue, a multiple of the global batch size. The batch
            size must be static: `dataset.batch(size, drop_remainder=True)`.
        momentum: $m$, at least 0 and below 1, or a schedule of the training step. The attribute can
            change during training, which compiles the step again. To increase $m$ to 1 along a
            cosine, as in MoCo v3, pass `keras.optimizers.schedules.CosineDecay(0.99, steps,
            alpha=1 / 0.99)`.
        num_classes: `None` if labels are class ids, or one-hot rows for `SupConLoss`. For
            `GeneralizedSupConLoss`, the number of classes of the label distributions. The queue
            then holds `queue_size * num_classes` float32 numbers more.
        augmenter: as in `SupConModel`.
        num_views: the number of views that `augmenter` creates of each image, at least 2. One of
            them is the key.
        mixing: as in `SupConModel`. The keys are mixed too, and the queue holds their mixed labels.
        distillation: as in `SupConModel`, with a teacher of `num_classes` classes. The queue then
            holds the soft targets of its keys too, another `queue_size * num_classes` numbers.
        micro_batch_size: as in `SupConModel`. Keys are projected in micro-batches too.
        name: name of the model.

    Attributes:
        momentum_encoder: the encoder of the keys.
        momentum_head: the projection head of the keys.
        queue: the keys of earlier batches. `queue.embeddings` is `[queue_size, dim]` float32, zero
            in empty places. `queue.labels` is `[queue_size]` int64 class ids, -1 without a label,
            or `[queue_size, num_classes]` float32 distributions, zero without a label.
            `queue.soft_targets` is `[queue_size, num_classes]` float32 distributions of the
            teacher, or `None`. `queue.num_enqueued` is int64, the number of keys that have entered
            the queue since its creation; the place of the next key is its remainder modulo
            `queue_size`.

    Raises:
        ValueError: if an argument is not as described, or `distillation` is given without
            `num_classes`; in `compile`, if `loss` is not a contrastive loss with
            `cross_replica=True`, or has `loss_weights`; in training, before anything changes, if
            the batch size does not divide `queue_size`, samples have a single view or views of
            several sizes, or the labels do not fit `num_classes`.
    """

    momentum = Hyperparameter(require_momentum_or_schedule)

    _compares_samples = False  # but with those in the queue too

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        queue_size: int = 65536,
        momentum: float | LearningRateSchedule = 0.999,
        num_classes: int | None = None,
        augmenter: keras.Layer | None = None,
        num_views: int = 2,
        mixing: Mixing | keras.Layer | None = None,
        distillation: Distillation | None = None,
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        queue_size = check_integer("queue_size", queue_size)
        if num_classes is not None:
            num_classes = check_integer("num_classes", num_classes, least=2)
        elif distillation is not None:
            raise ValueError(
                "`num_classes` must be the number of classes of the label distributions when "
                "`distillation` is given. Received: num_classes=None"
            )
        _require_key("num_views", check_integer("num_views", num_views))
        require_momentum_or_schedule(momentum)
        super().__init__(
            encoder,
            projection_head,
            augmenter=augmenter,
            num_views=num_views,
            mixing=mixing,
            distillation=distillation,
            micro_batch_size=micro_batch_size,
            name=name,
            **kwargs,
        )
        self.queue_size = queue_size
        self.momentum = momentum
        self.num_classes = num_classes
        self.momentum_encoder = clone(self.encoder, self.inputs)
        self.momentum_head = clone(
            self.projection_head, keras.KerasTensor(self.encoder.output_shape)
        )
        _, dim = self.projection_head.compute_output_shape(self.encoder.output_shape)
        self.queue = KeyQueue(
            queue_size,
            dim,
            num_classes=num_classes,
            has_soft_targets=distillation is not None,
            name="queue",
        )

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
            ValueError: if `loss` is not a contrastive loss with `cross_replica=True`, or has
                `loss_weights`.
        """
        cross_replica = isinstance(loss, ContrastiveLoss) and loss.cross_replica
        if not cross_replica or loss_weights is not None:
            raise ValueError(
                "`loss` must be a contrastive loss of supcon_tf with `cross_replica=True`, because "
                "the queue holds the keys of all replicas, and without `loss_weights`. Received: "
                f"loss={loss}, cross_replica={cross_replica}, loss_weights={loss_weights}"
            )
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the encoder, then the momentum encoder, then the queue."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        views, labels = self._mix(views, labels, training=True)
        pairs = self._sync_momentum_encoder()
        momentum = self.momentum
        if isinstance(momentum, LearningRateSchedule):
            momentum = momentum(self.optimizer.iterations)
        anchors, keys = self._split(views, labels, training=True)
        global_keys = gather_keys(keys)
        projections, loss, gradients = differentiate(
            self,
            anchors.views,
            lambda projections: self._contrast(projections, anchors, global_keys, sample_weight),
            self.micro_batch_size,
        )
        self._apply_gradients(gradients)
        update_ema(pairs, momentum)
        self.queue.enqueue(global_keys)
        projections = tf.concat([projections, keys.embeddings[:, None]], axis=1)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Computes the loss and the metrics."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        views, labels = self._mix(views, labels, training=False)
        anchors, keys = self._split(views, labels, training=False)
        projections = self(anchors.views, training=False)
        loss = self._contrast(projections, anchors, gather_keys(keys), sample_weight)
        projections = tf.concat([projections, keys.embeddings[:, None]], axis=1)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Computes the loss of the labels from the projections of all views, the key last.

        Keras calls this method to build the loss before training. The steps instead compare with
        the keys of all replicas, and add the loss of soft targets.
        """
        _require_key("images", y_pred.shape[1] if len(y_pred.shape) == 3 else 1)
        anchor_labels, key_labels = self._split_labels(y)
        anchors = _Anchors(x, anchor_labels, None)
        keys = Keys(y_pred[:, -1], key_labels, None)
        return self._contrast(y_pred[:, :-1], anchors, keys, sample_weight)

    def build_from(self, dataset: Any, *, training: bool = True) -> None:
        """Builds metrics and optimizer before the first step, from the shapes of the batches.

        Raises:
            ValueError: as in `SupConModel.build_from`, or if the size of the training batches does
                not divide `queue_size`.
        """
        if training:
            spec = global_batch_spec(dataset, self.distribute_strategy.num_replicas_in_sync)
            self._require_divisor(first_array(spec).shape[0])
        super().build_from(dataset, training=training)

    def _split(self, views: Any, labels: tf.Tensor, training: bool) -> tuple[_Anchors, Keys]:
        """Splits `[batch, views, ...]` into anchors and the projected keys of this replica.

        Raises:
            ValueError: if views have several sizes, samples have a single view, or the batch size
                does not divide `queue_size`.
        """
        if is_multi_crop(views, self.encoder):
            raise ValueError(
                "`images` must be one array of views, the last of which is the key. SupConModel, "
                "JointSupConModel and CrossBatchSupConModel take views of several sizes. "
                f"Received: {len(views)} arrays"
            )
        _require_key("images", first_array(views).shape[1] if has_views(views, self.encoder) else 1)
        if training:
            replicas = self.distribute_strategy.num_replicas_in_sync
            size = first_array(views).shape[0]
            self._require_divisor(None if size is None else size * replicas)
        anchor_labels, key_labels = self._split_labels(labels)
        micro_batch_size = self.micro_batch_size if training else None
        soft_targets = self._soft_targets(views, labels, micro_batch_size)
        anchor_soft_targets = key_soft_targets = None
        if soft_targets is not None:
            anchor_soft_targets, key_soft_targets = soft_targets[:, :-1], soft_targets[:, -1]
        embeddings = map_micro_batches(
            lambda images: self._project(
                images, self.momentum_encoder, self.momentum_head, training
            ),
            map_arrays(lambda x: x[:, -1], views),
            micro_batch_size,
        )
        anchor_views = map_arrays(lambda x: x[:, :-1], views)
        anchors = _Anchors(anchor_views, anchor_labels, anchor_soft_targets)
        return anchors, Keys(embeddings, key_labels, key_soft_targets)

    def _contrast(
        self,
        projections: tf.Tensor,
        anchors: _Anchors,
        keys: Keys,
        sample_weight: tf.Tensor | None,
    ) -> tf.Tensor:
        """Computes the loss of the anchors against the keys of the global batch and the queue."""
        batch, queue = tf.shape(keys.embeddings)[0], self.queue.keys
        embeddings = tf.stop_gradient(tf.concat([keys.embeddings, queue.embeddings], axis=0))
        sample_ids = tf.concat([tf.range(batch), tf.fill([self.queue_size], -1)], axis=0)
        is_key = tf.concat([tf.ones([batch], tf.bool), self.queue.is_filled], axis=0)

        def loss_of(labels: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
            anchor_labels, batch_labels, queue_labels = labels
            key_labels = tf.concat([batch_labels, queue_labels], axis=0)
            with at_step(self._current_step):
                return self.loss.contrast(
                    projections,
                    anchor_labels,
                    embeddings,
                    key_labels,
                    ref_sample_ids=sample_ids,
                    ref_mask=is_key,
                    sample_weight=sample_weight,
                )

        labels = anchors.labels, keys.labels, queue.labels
        if self.distillation is None or anchors.soft_targets is None:
            return self._add_regularization([loss_of(labels)])
        terms = self.distillation._loss_terms(
            loss_of,
            labels,
            soft_targets=(anchors.soft_targets, keys.soft_targets, queue.soft_targets),
            num_samples=tf.shape(projections)[0],
        )
        return self._add_regularization(terms)

    def _sync_momentum_encoder(self) -> Pairs:
        """Freezes the copies of layers that are frozen in the trained encoder and head.

        Returns:
            The trained weights and their copies, which `update_ema` updates.
        """
        return [
            *sync_trainable(self.encoder, self.momentum_encoder),
            *sync_trainable(self.projection_head, self.momentum_head),
        ]

    def _freeze_parts(self) -> None:
        super()._freeze_parts()
        self._sync_momentum_encoder()

    def _can_lack_positives(self, x: Any) -> bool:
        return False  # The key of its sample is a positive of every anchor.

    def _require_divisor(self, batch_size: int | None) -> None:
        """Raises `ValueError` if a global batch size does not divide the queue."""
        if batch_size is None or self.queue_size % batch_size:
            raise ValueError(
                "`queue_size` must be a multiple of the global batch size, which must be static: "
                "use `dataset.batch(size, drop_remainder=True)`. Received: "
                f"queue_size={self.queue_size}, a global batch of "
                f"{'an unknown size' if batch_size is None else batch_size}"
            )

    def _split_labels(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the labels of the anchors, and those of the keys as the queue holds them."""
        anchor_labels = key_labels = labels
        if len(labels.shape) == 3:  # [batch, views, classes]
            anchor_labels, key_labels = labels[:, :-1], labels[:, -1]
        return anchor_labels, self.queue.convert_labels(self.loss, key_labels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "queue_size": self.queue_size,
            "momentum": _serialize(self.momentum),
            "num_classes": self.num_classes,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "MomentumSupConModel":
        """Creates a model from the output of `get_config`."""
        if isinstance(config["momentum"], dict):
            momentum = keras.saving.deserialize_keras_object(config["momentum"], custom_objects)
            config = {**config, "momentum": momentum}
        return super().from_config(config, custom_objects)


def _serialize(momentum: float | LearningRateSchedule) -> Any:
    is_schedule = isinstance(momentum, LearningRateSchedule)
    return keras.saving.serialize_keras_object(momentum) if is_schedule else momentum


def _require_key(argument: str, views: int) -> None:
    """Raises `ValueError` if samples have a single view, which leaves no anchor beside the key."""
    if views < 2:
        raise ValueError(
            f"`{argument}` must give two or more views of each sample, because the last view is "
            "the key. Pass [batch, views, ...], or an `augmenter` that creates views. "
            f"Received: {views} view(s)"
        )
