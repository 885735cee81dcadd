"""The model whose anchors are compared with the keys of a momentum encoder and a queue of them."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.distribution.replicas import replica_context
from supcon_tf.labels import UNLABELED
from supcon_tf.losses.contrastive import ContrastiveLoss
from supcon_tf.losses.embedding import convert_labels
from supcon_tf.losses.temperature import at_step
from supcon_tf.models.arguments import require_momentum
from supcon_tf.models.ema import Pairs, clone, sync_trainable, update_ema
from supcon_tf.models.gradient_cache import map_micro_batches
from supcon_tf.models.hyperparameter import Hyperparameter
from supcon_tf.models.supcon_model import SupConModel
from supcon_tf.models.views import first_array, map_arrays


class Keys(NamedTuple):
    """What anchors are compared with, and what the queue holds.

    Attributes:
        z: `[keys, dim]` float32 projections of unit length.
        labels: `[keys]` int64 class ids, or `[keys, classes]` float32 distributions.
        soft_targets: `[keys, classes]` float32 distributions of the teacher, `None` without one.
    """

    z: tf.Tensor
    labels: tf.Tensor
    soft_targets: tf.Tensor | None


@keras.saving.register_keras_serializable(package="supcon_tf")
class MomentumSupConModel(SupConModel):
    r"""An encoder trained against a momentum encoder and a queue of its projections (MoCo).

    The last view of each sample is its key: the momentum encoder and head project it, without a
    gradient. The views before are anchors, projected by the encoder and head that are trained. An
    anchor is compared with the keys of the whole batch and with those of earlier batches, in a
    queue of fixed size; its positives are the keys of its class, in the batch and in the queue, and
    always its own sample's key:

    $$\ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{\exp(q_i \cdot k_p / \tau)}{\sum_{a \in B \cup Q} \exp(q_i \cdot k_a / \tau)}$$

    for `SupConLoss`, with the keys of the batch B and of the queue Q as it was before the step; any
    other contrastive loss is taken over the same rows. Places of the queue that have not been
    filled yet count nowhere. After the optimizer's step the momentum weights become

    $$\theta_k \leftarrow m \theta_k + (1 - m) \theta_q$$

    and the keys of the batch replace the oldest ones. With class id -1 for all samples this is
    MoCo, with some it is UniMoCo.

    The momentum encoder runs in training mode: batch normalization takes the statistics of the
    batch of keys, and its moving statistics are its own, not averages of the encoder's. MoCo
    shuffles samples among GPUs, lest the statistics of a small part of the batch tell which key
    belongs to it. Synchronized batch normalization has no such parts and needs no shuffling;
    nothing is shuffled here, so use it on several replicas. The queue is the same on all replicas,
    holds everyone's keys and is saved with the model, as is the momentum encoder.

    Metrics get the projections of all views, the key's last. `evaluate` compares with the batch's
    keys and the queue, and changes neither the queue nor weights. `model(images)`, `encode` and
    `predict` use the trained encoder.

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
        >>> model.queue_labels.numpy()
        array([0, 1, 0, 1, 0, 1, 0, 1])

    Args:
        encoder: a built model from images to representations `[batch, dim]`. The momentum encoder
            and head are copies, with the same weights, made here.
        projection_head: a model from representations to projections `[batch, dim]`; by default one
            hidden layer as wide as the representation and 128 outputs.
        queue_size: how many keys the queue holds, a multiple of the global batch size, which must
            be static: `dataset.batch(size, drop_remainder=True)`.
        momentum: m, from 0 and below 1. The attribute can be set during training, which compiles
            the step anew.
        num_classes: `None` if labels are class ids or one-hot rows for `SupConLoss`; for
            `GeneralizedSupConLoss` the number of classes of its label distributions, which the
            queue then holds: `queue_size * num_classes` float32.
        augmentation: as in `SupConModel`.
        mixing: as in `SupConModel`; keys are mixed too, and the queue holds their mixed labels.
        num_views: how many views `augmentation` makes of each image, at least 2, one of them the
            key.
        teacher: as in `SupConModel`, of `num_classes` classes. The queue also holds what it said of
            the keys, so that the anchors' distributions meet those of the keys.
        distillation_weight: as in `SupConModel`.
        teacher_temperature: as in `SupConModel`.
        teacher_gives: as in `SupConModel`.
        micro_batch_size: as in `SupConModel`; keys are projected in pieces too.
        name: name of the model.

    Attributes:
        momentum_encoder: the encoder of keys.
        momentum_head: the projection head of keys.
        queue: `[queue_size, dim]` float32 keys, zero where there is none yet.
        queue_labels: `[queue_size]` int64 class ids, -1 where there is no label, or `[queue_size,
            num_classes]` float32 distributions, zero where there is none.
        queue_soft_targets: `[queue_size, num_classes]` float32 distributions of the teacher; `None`
            without one.
        num_enqueued: int64, how many keys have ever entered the queue. The next one's place is the
            remainder of its division by `queue_size`.

    Raises:
        ValueError: if an argument is not as described, or there is a `teacher` without
            `num_classes`; in `compile`, if the loss is none of the contrastive losses; in training,
            before anything changes, if the batch size does not divide `queue_size`, there is a
            single view, or labels do not fit `num_classes`.
    """

    momentum = Hyperparameter(require_momentum)

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        queue_size: int = 65536,
        momentum: float = 0.999,
        num_classes: int | None = None,
        augmentation: keras.Layer | None = None,
        mixing: keras.Layer | None = None,
        num_views: int = 2,
        teacher: keras.Model | None = None,
        distillation_weight: float = 1.0,
        teacher_temperature: float = 1.0,
        teacher_gives: str = "auto",
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        queue_size = check_integer("queue_size", queue_size)
        if num_classes is not None:
            num_classes = check_integer("num_classes", num_classes, least=2)
        elif teacher is not None:
            raise ValueError(
                "`num_classes` must be the number of classes of the label distributions where "
                f"there is a `teacher`. Received: num_classes=None, teacher={teacher.name}"
            )
        _require_key("num_views", check_integer("num_views", num_views))
        require_momentum(momentum)
        super().__init__(
            encoder,
            projection_head,
            augmentation=augmentation,
            mixing=mixing,
            num_views=num_views,
            teacher=teacher,
            distillation_weight=distillation_weight,
            teacher_temperature=teacher_temperature,
            teacher_gives=teacher_gives,
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
        self.queue = self._state("queue", [queue_size, dim], "float32", 0)
        self.queue_soft_targets = None
        if num_classes is None:
            self.queue_labels = self._state("queue_labels", [queue_size], "int64", UNLABELED)
        else:
            shape = [queue_size, num_classes]
            self.queue_labels = self._state("queue_labels", shape, "float32", 0)
            if teacher is not None:
                self.queue_soft_targets = self._state("queue_soft_targets", shape, "float32", 0)
        self.num_enqueued = self._state("num_enqueued", [], "int64", 0)

    def _state(self, name: str, shape: list[int], dtype: str, value: int) -> keras.Variable:
        # Every replica writes its own copy, and all write the same.
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
        )

    def _freeze_parts(self) -> None:
        super()._freeze_parts()
        self._train_as_encoder()

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Configures the training, as `keras.Model.compile` does.

        Raises:
            ValueError: if `loss` is not a contrastive loss over everyone's rows, or is weighed.
        """
        cross_replica = isinstance(loss, ContrastiveLoss) and loss.cross_replica
        if not cross_replica or loss_weights is not None:
            raise ValueError(
                "`loss` must be a contrastive loss of supcon_tf with `cross_replica=True`, since "
                "the queue holds everyone's keys, and without `loss_weights`. Received: "
                f"loss={loss}, cross_replica={cross_replica}, loss_weights={loss_weights}"
            )
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Compares anchors with keys, updates both encoders, and puts the keys into the queue."""
        images, labels, sample_weight = self.unpack(data)
        views, labels = self.make_views_and_labels(images, labels, training=True)
        pairs = self._train_as_encoder()
        anchors, targets, own_keys = self._anchors_and_keys(views, labels, training=True)
        keys = _gather(own_keys)
        projections, loss, gradients = self.differentiate(
            anchors, lambda z: self._compare(z, targets, keys, sample_weight)
        )
        self._apply_gradients(gradients)
        update_ema(pairs, self.momentum)
        self._enqueue(keys)
        projections = tf.concat([projections, own_keys.z[:, None]], axis=1)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Compares anchors with keys."""
        images, labels, sample_weight = self.unpack(data)
        views, labels = self.make_views_and_labels(images, labels, training=False)
        anchors, targets, own_keys = self._anchors_and_keys(views, labels, training=False)
        projections = self(anchors, training=False)
        loss = self._compare(projections, targets, _gather(own_keys), sample_weight)
        projections = tf.concat([projections, own_keys.z[:, None]], axis=1)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def build_from(self, dataset: Any, *, training: bool = True) -> None:
        """Builds metrics and optimizer before the first step, from the shapes of the batches.

        Raises:
            ValueError: as `SupConModel.build_from` does, or if batches to train on do not fill the
                queue.
        """
        if training:
            self._require_place(first_array(self.batch_spec(dataset)).shape[0], replicas=1)
        super().build_from(dataset, training=training)

    def _views_of(self, x: Any) -> int | None:
        return None  # an anchor always has a positive, its sample's key

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Returns 0: Keras asks before training, without keys, only to learn shapes."""
        return tf.zeros([])

    def _anchors_and_keys(
        self, views: tf.Tensor, labels: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor | None], Keys]:
        """Splits views `[batch, views, ...]` into anchors and keys, and projects the keys.

        Returns:
            Anchors `[batch, views - 1, ...]`, their labels and the teacher's, and the keys of this
            replica.
        """
        _require_key("images", first_array(views).shape[1] if self.has_views(views) else 1)
        if training:
            replicas = self.distribute_strategy.num_replicas_in_sync
            self._require_place(first_array(views).shape[0], replicas)
        anchor_labels = key_labels = labels
        if len(labels.shape) == 3:  # every view has its own
            anchor_labels, key_labels = labels[:, :-1], labels[:, -1]
        key_labels = self._as_queue_labels(key_labels)
        soft_targets = self._ask_teacher(views, labels, self.micro_batch_size if training else None)
        anchor_soft_targets = key_soft_targets = None
        if soft_targets is not None:
            anchor_soft_targets, key_soft_targets = soft_targets[:, :-1], soft_targets[:, -1]
        key_images = map_arrays(lambda x: x[:, -1], views)
        keys = Keys(self._project_keys(key_images, training), key_labels, key_soft_targets)
        anchors = map_arrays(lambda x: x[:, :-1], views)
        return anchors, (anchor_labels, anchor_soft_targets), keys

    def _project_keys(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        def project(piece: tf.Tensor) -> tf.Tensor:
            return self.project(piece, self.momentum_encoder, self.momentum_head, training)

        if training and self.micro_batch_size is not None:
            return map_micro_batches(project, images, self.micro_batch_size)
        return project(images)

    def _compare(
        self,
        anchors: tf.Tensor,
        targets: tuple[tf.Tensor, tf.Tensor | None],
        keys: Keys,
        sample_weight: tf.Tensor | None,
    ) -> tf.Tensor:
        """Computes the loss of anchors against the keys of the batch and of the queue."""
        batch = tf.shape(keys.z)[0]
        in_queue = tf.range(self.queue_size, dtype=tf.int64) < self.num_enqueued.value
        contrasts = tf.stop_gradient(tf.concat([keys.z, self.queue.value], axis=0))
        sample_ids = tf.concat([tf.range(batch), tf.fill([self.queue_size], -1)], axis=0)
        present = tf.concat([tf.ones([batch], tf.bool), in_queue], axis=0)

        def loss_against(labels: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
            of_anchors, of_keys, of_queue = labels
            of_contrasts = tf.concat([of_keys, of_queue], axis=0)
            with at_step(self._steps_made):
                return self.loss.contrast(
                    anchors,
                    of_anchors,
                    contrasts,
                    of_contrasts,
                    ref_sample_ids=sample_ids,
                    ref_mask=present,
                    sample_weight=sample_weight,
                )

        anchor_labels, anchor_soft_targets = targets
        labels = anchor_labels, keys.labels, self.queue_labels.value
        if self.queue_soft_targets is not None:
            soft_targets = anchor_soft_targets, keys.soft_targets, self.queue_soft_targets.value
            return self._add_distillation(loss_against, labels, soft_targets, anchors)
        return self._add_penalties([loss_against(labels)])

    def _train_as_encoder(self) -> Pairs:
        """Freezes of the momentum encoder and head what is frozen; returns what is to follow."""
        return [
            *sync_trainable(self.encoder, self.momentum_encoder),
            *sync_trainable(self.projection_head, self.momentum_head),
        ]

    def _enqueue(self, keys: Keys) -> None:
        """Puts keys where the oldest ones are."""
        size = tf.shape(keys.z, out_type=tf.int64)[0]
        places = (self.num_enqueued.value + tf.range(size)) % self.queue_size
        queues = self.queue, self.queue_labels, self.queue_soft_targets
        for variable, new in zip(queues, keys, strict=True):
            if variable is not None:
                variable.assign(tf.tensor_scatter_nd_update(variable.value, places[:, None], new))
        self.num_enqueued.assign_add(size)

    def _require_place(self, batch: int | None, replicas: int) -> None:
        """Raises `ValueError` if batches of this size on every replica do not fill the queue."""
        if batch is None or self.queue_size % (batch * replicas):
            raise ValueError(
                "`queue_size` must be a multiple of the global batch size, which must be static: "
                "use `dataset.batch(size, drop_remainder=True)`. Received: "
                f"queue_size={self.queue_size}, a global batch of "
                f"{'an unknown size' if batch is None else batch * replicas}"
            )

    def _as_queue_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Turns labels of samples into those that the queue holds."""
        rows = convert_labels(self.loss, labels)
        if rows.shape[1:] != self.queue_labels.shape[1:]:
            raise ValueError(
                "`num_classes` must be None for class ids (SupConLoss), or the number of classes "
                "of label distributions (GeneralizedSupConLoss). Received: "
                f"num_classes={self.num_classes}, labels of the shape {labels.shape} for "
                f"{self.loss.name}"
            )
        return tf.cast(rows, self.queue_labels.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this model."""
        return {
            **super().get_config(),
            "queue_size": self.queue_size,
            "momentum": self.momentum,
            "num_classes": self.num_classes,
        }


def _gather(keys: Keys) -> Keys:
    """Returns the keys of the global batch."""
    replica = replica_context()
    if replica is None:
        return keys
    return Keys(*(None if x is None else replica.all_gather(x, axis=0) for x in keys))


def _require_key(argument: str, views: int) -> None:
    """Raises `ValueError` if no view is left besides the key."""
    if views < 2:
        raise ValueError(
            f"`{argument}` must give two or more views of each sample, the last of which is its "
            "key: pass [batch, views, ...], or an `augmentation` that makes them. "
            f"Received: {views} view(s)"
        )
