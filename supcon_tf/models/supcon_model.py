"""The model that pairs an encoder with a projection head."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice, check_integer, check_positive
from supcon_tf.encoders.l2_normalization import L2Normalization
from supcon_tf.labels import to_soft_labels
from supcon_tf.losses.embedding import EmbeddingLoss, convert_labels, require_no_mask
from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.losses.temperature import at_step
from supcon_tf.models.arguments import (
    require_distillation_weight,
    require_layer,
    require_owner,
    require_representations,
)
from supcon_tf.models.distillation import GIVES, freeze, label_distributions_of, resolve_output
from supcon_tf.models.encoder_model import EncoderModel
from supcon_tf.models.finite import nan_unless_finite
from supcon_tf.models.gradient_cache import map_micro_batches, project_in_micro_batches
from supcon_tf.models.heads import projection_head as default_projection_head
from supcon_tf.models.hyperparameter import Hyperparameter
from supcon_tf.models.mixing_layer import MixingLayer
from supcon_tf.models.unlabeled import (
    require_no_distributions,
    warn_without_positives,
    without_labels,
)
from supcon_tf.models.views import first_array, flatten_views, has_views, map_arrays


@keras.saving.register_keras_serializable(package="supcon_tf")
class SupConModel(EncoderModel):
    r"""An encoder and a projection head, trained with a contrastive loss.

    `model(images)` gives projections of unit length, in float32 under every dtype policy;
    `model.encode(images)` gives the representations that are kept after the training, when the
    projection head is thrown away.

    `fit`, `evaluate` and `predict` take images `[batch, height, width, channels]`, of which
    `augmentation` makes views, or ready views `[batch, views, height, width, channels]`. Images are
    whatever the encoder takes: rows of numbers `[batch, columns]` or tokens `[batch, length]`, as
    views `[batch, views, columns]` and so on, are told apart by the rank of the encoder's input.
    An encoder of several inputs takes dicts or lists of arrays, each with the axis of views or each
    without; views may have any size that the encoder takes.
    Without `augmentation` an image is its own single view. Random layers inside `augmentation` draw
    for each replica on its own; where the same weights on 1 and on N replicas matter, make the
    views in the data pipeline instead.

    A `teacher` is a classifier whose probabilities for the views, mixed if they are, become further
    labels (distillation). With the projections $z$, the labels $y$ and the generalized loss $L$,

    $$L(z, y) + \mathtt{distillation\_weight} \cdot L(z, \mathrm{softmax}(\mathrm{logits} / T))$$

    is minimized and logged as `loss`, and its second term, not weighed, as `distillation_loss`.

    References: Khosla et al., "Supervised Contrastive Learning", 2020, section 3.1
    (https://arxiv.org/abs/2004.11362); Kim et al., "Generalized Supervised Contrastive Learning",
    2022, for mixing and distillation (https://arxiv.org/abs/2206.00384).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.SupConModel(encoder)
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
        >>> views = np.random.rand(4, 2, 32, 32, 3).astype("float32")
        >>> history = model.fit(views, np.array([0, 0, 1, 1]), verbose=0)
        >>> model.encode(views[:, 0]).shape
        TensorShape([4, 64])

    Args:
        encoder: a built model from images to representations `[batch, dim]`.
        projection_head: a model from representations to projections `[batch, dim]`; by default one
            hidden layer as wide as the representation and 128 outputs.
        augmentation: a layer that turns images `[batch, ...]` into random views of them, called
            with `training=True` once for each view, also in `evaluate`.
        num_views: how many views `augmentation` makes of each image; to be left out without one.
        mixing: a layer from views and labels to mixed ones, as `MixingLayer`, called after
            `augmentation` with `training=True`, and in `evaluate` with `training=False`. The loss
            is then a `GeneralizedSupConLoss`.
        teacher: a classifier of images like the views, one output `[batch, classes]`, of as many
            classes as the labels. It is used as in inference, in `evaluate` too, and frozen: its
            `trainable` becomes `False`. It is saved with the model. The loss is then a
            `GeneralizedSupConLoss`.
        distillation_weight: how much the teacher's term weighs, above 0; `float("inf")` leaves that
            term only.
        teacher_temperature: T, above 0.
        teacher_gives: `"logits"`, `"probabilities"`, or `"auto"` to tell by the activation of the
            teacher's last layer: softmax, or none.
        micro_batch_size: `None`, or how many images of a batch (on each replica) are encoded at the
            same time, a divisor of the batch size: the loss and its gradient are still those of the
            whole batch, in the memory that a micro-batch needs and 4/3 of the time. All images are
            projected once without keeping activations, for the gradient with respect to their
            projections, and once more, piece by piece, to carry that gradient on to the weights
            (gradient caching, Gao et al., 2021, https://arxiv.org/abs/2101.06983). Dropout repeats
            its masks. Batch normalization takes its statistics of each micro-batch: only there does
            the result differ. Not for layers that add losses of their activations.
        name: name of the model.

    Raises:
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, `num_views` or
            `micro_batch_size` is not a positive integer, or another argument is not as described;
            with a teacher in `compile`, if the loss is another one or has `loss_weights`, and
            before the first step, if the teacher has other classes than the labels.
    """

    distillation_weight = Hyperparameter(require_distillation_weight)
    teacher_temperature = Hyperparameter(functools.partial(check_positive, "teacher_temperature"))

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        augmentation: keras.Layer | None = None,
        num_views: int = 2,
        mixing: keras.Layer | None = None,
        teacher: keras.Model | None = None,
        distillation_weight: float = 1.0,
        teacher_temperature: float = 1.0,
        teacher_gives: str = "auto",
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        dim = require_representations(encoder)
        require_layer("projection_head", projection_head, ", as of `supcon_tf.projection_head`")
        require_layer(
            "augmentation",
            augmentation,
            "; transforms of `supcon_tf.augmentation` make views in the data pipeline, by "
            "`supcon_tf.data.multi_view_batches`",
        )
        require_layer("mixing", mixing, ", such as `supcon_tf.MixingLayer`")
        require_layer("teacher", teacher)
        num_views = check_integer("num_views", num_views)
        if augmentation is None and num_views != 2:
            raise ValueError(
                "`num_views` is how many views `augmentation` makes of each image. Without one, "
                "pass ready views [batch, views, ...] and leave `num_views` out. "
                f"Received: num_views={num_views}, augmentation=None"
            )
        if micro_batch_size is not None:
            micro_batch_size = check_integer("micro_batch_size", micro_batch_size)
        require_distillation_weight(distillation_weight)
        check_positive("teacher_temperature", teacher_temperature)
        check_choice("teacher_gives", teacher_gives, GIVES)
        if teacher is None:
            require_owner(
                "teacher",
                distillation_weight=(distillation_weight, 1.0),
                teacher_temperature=(teacher_temperature, 1.0),
                teacher_gives=(teacher_gives, "auto"),
            )
        super().__init__(name=name, **kwargs)
        self.encoder = encoder
        self.projection_head = projection_head or default_projection_head((dim, 128))
        if not self.projection_head.built:
            self.projection_head.build((None, dim))
        self.augmentation = augmentation
        self.num_views = num_views
        self.mixing = mixing
        self.teacher = teacher
        self.distillation_weight = distillation_weight
        self.teacher_temperature = teacher_temperature
        self.teacher_gives = teacher_gives
        if teacher is not None:
            self.teacher_gives = resolve_output(teacher, teacher_gives)
            freeze(teacher)
            self.distillation_loss = keras.metrics.Mean("distillation_loss")
        self.micro_batch_size = micro_batch_size
        self.normalization = L2Normalization(dtype="float32", name="normalization")
        self.built = True

    def _freeze_parts(self) -> None:
        if self.teacher is not None:
            freeze(self.teacher)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Configures the training, as `keras.Model.compile` does.

        Raises:
            ValueError: if `loss` or one of the `metrics` is the name of one of Keras's, none of
                which takes projections; with a teacher, if `loss` does not take label
                distributions, or is weighed.
        """
        if isinstance(loss, str):
            raise ValueError(
                "`loss` must be a contrastive loss as an object, such as `supcon_tf.SupConLoss()`. "
                f"Received: loss={loss!r}"
            )
        if any(isinstance(metric, str) for metric in tf.nest.flatten(metrics)):
            raise ValueError(
                "`metrics` must take labels and projections, as those of `supcon_tf.metrics` do; "
                "accuracy is that of a classifier, of `JointSupConModel` or `LinearClassifier`. "
                f"Received: metrics={metrics}"
            )
        if self.teacher is not None and not (
            isinstance(loss, GeneralizedSupConLoss) and loss_weights is None
        ):
            raise ValueError(
                "`loss` must be a GeneralizedSupConLoss, without `loss_weights`, where a `teacher` "
                f"gives label distributions. Received: loss={loss}, loss_weights={loss_weights}"
            )
        super().compile(optimizer, loss, loss_weights, metrics, *args, **kwargs)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains, as `keras.Model.fit` does.

        Labels may be missing where the loss takes class ids: every sample then has its own other
        views as positives, as in SimCLR.

        Warns if no anchor of the first batch has a positive.

        Raises:
            ValueError: on several replicas, as `DistributedModel.fit` does.
        """
        if self.compiled and self.mixing is None:
            views, shuffle = self._views_of(x), kwargs.get("shuffle", True)
            warn_without_positives(self.loss, views, x, y, batch_size, bool(shuffle))
        return super().fit(x, y, batch_size, *args, **kwargs)

    def _views_of(self, x: Any) -> int | None:
        """Returns how many views `fit` gets of each sample; `None` if that is not known."""
        if isinstance(x, tf.data.Dataset):
            x, _, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        if x is None or not all(hasattr(array, "shape") for array in tf.nest.flatten(x)):
            return None
        if not self.has_views(x):
            return 1 if self.augmentation is None else self.num_views
        return first_array(x).shape[1]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Projects images.

        Args:
            images: `[batch, height, width, channels]`, or
                `[batch, views, height, width, channels]`; for an encoder of several inputs a dict
                or list of such arrays.
            training: whether batch normalization and dropout behave as in training.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` float32 projections of unit length.
        """
        return self.project(images, self.encoder, self.projection_head, training)

    def project(
        self, images: tf.Tensor, encoder: keras.Model, head: keras.Layer, training: bool
    ) -> tf.Tensor:
        """Projects images with an encoder and a head, as `call` does with those of the model."""
        return self._represent_and_project(images, encoder, head, training)[1]

    def _represent_and_project(
        self, images: tf.Tensor, encoder: keras.Model, head: keras.Layer, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Representations `[batch * views, dim]` and projections, as `call` gives them."""
        flat, restore = flatten_views(images, self.encoder)
        representations = encoder(flat, training=training)
        require_no_mask("encoder", representations)
        projections = head(representations, training=training)
        return representations, restore(self.normalization(tf.cast(projections, tf.float32)))

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """Computes representations for inference.

        Args:
            images: `[batch, height, width, channels]`, or
                `[batch, views, height, width, channels]`; for an encoder of several inputs a dict
                or list of such arrays.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` outputs of the encoder.
        """
        if not tf.nest.is_nested(self.inputs) and not isinstance(images, dict):
            images = tf.convert_to_tensor(images)
        flat, restore = flatten_views(map_arrays(tf.convert_to_tensor, images), self.encoder)
        return restore(self.encoder(flat, training=False))

    def has_views(self, images: Any) -> bool:
        """Tells views `[batch, views, ...]` from images `[batch, ...]` as the encoder takes them.

        Raises:
            ValueError: if `images` are neither.
        """
        return has_views(images, self.encoder)

    def make_views(self, images: Any) -> Any:
        """Makes `num_views` views of each image; ready views stay as they are."""
        if self.augmentation is None or self.has_views(images):
            return images
        views = [self.augmentation(images, training=True) for _ in range(self.num_views)]
        return map_arrays(lambda *x: tf.stack(x, axis=1), *views)

    def make_views_and_labels(
        self, images: tf.Tensor, labels: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes views of images, and mixes them and their labels if the model does that."""
        views = self.make_views(images)
        if self.mixing is not None:
            views, labels = self.mixing(views, labels, training=training)
        return views, labels

    def _as_seen_by_metrics(self, specs: Any) -> Any:
        images, labels, sample_weight = self.unpack(specs)
        if self.augmentation is not None and not self.has_views(images):
            view = self.augmentation.compute_output_spec(images)
            images = map_arrays(
                lambda x: keras.KerasTensor((x.shape[0], self.num_views, *x.shape[1:]), x.dtype),
                view,
            )
        if self.mixing is not None:
            images, labels = self.mixing(images, labels)
        return images, labels, sample_weight

    def unpack(self, data: Any) -> tuple[Any, Any, Any]:
        """Splits a batch into images, labels and weights; missing labels are class id -1."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None and isinstance(self.loss, EmbeddingLoss):
            if self.mixing is None:
                require_no_distributions(self.loss)
            labels = without_labels(images)
        return images, labels, sample_weight

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of labels as the loss, or the mixing before it, does."""
        _, labels, _ = self.unpack(data)
        if isinstance(self.mixing, MixingLayer):
            return [to_soft_labels(labels, self.mixing.num_classes)]
        if self.mixing is None and isinstance(self.loss, EmbeddingLoss):
            return [convert_labels(self.loss, labels)]
        return []

    def train_step(self, data: Any) -> dict[str, Any]:
        """Makes views, compares their projections and updates encoder and head."""
        images, labels, sample_weight = self.unpack(data)
        views, labels = self.make_views_and_labels(images, labels, training=True)
        soft_targets = self._ask_teacher(views, labels, self.micro_batch_size)
        projections, loss, gradients = self.differentiate(
            views,
            lambda z: self._compute_both(
                views, labels, soft_targets, z, sample_weight, training=True
            ),
        )
        self._apply_gradients(gradients)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def differentiate(
        self, views: tf.Tensor, loss_of: Callable[[tf.Tensor], tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Projects views, all at once or in micro-batches, and differentiates a loss of them.

        Args:
            views: `[batch, ...]`, as in `call`.
            loss_of: computes the loss from their projections.

        Returns:
            The projections, the loss, and the gradients of the loss, scaled as the optimizer wants
            it, with respect to `trainable_variables`.
        """
        if self.micro_batch_size is None:
            with tf.GradientTape() as tape:
                projections = self(views, training=True)
                loss = loss_of(projections)
                scaled_loss = self.optimizer.scale_loss(loss)
            return projections, loss, tape.gradient(scaled_loss, self.trainable_variables)
        projections, pull_back = project_in_micro_batches(self, views, self.micro_batch_size)
        with tf.GradientTape() as tape:
            tape.watch(projections)
            loss = loss_of(projections)
            scaled_loss = self.optimizer.scale_loss(loss)
        # Weights meet the loss directly too, in their regularizers.
        upstream, direct = tape.gradient(scaled_loss, (projections, self.trainable_variables))
        gradients = [
            x if y is None else x + y for x, y in zip(pull_back(upstream), direct, strict=True)
        ]
        return projections, loss, gradients

    def test_step(self, data: Any) -> dict[str, Any]:
        """Makes views and compares their projections."""
        images, labels, sample_weight = self.unpack(data)
        views, labels = self.make_views_and_labels(images, labels, training=False)
        soft_targets = self._ask_teacher(views, labels)
        projections = self(views, training=False)
        loss = self._compute_both(
            views, labels, soft_targets, projections, sample_weight, training=False
        )
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def _ask_teacher(
        self, views: tf.Tensor, labels: tf.Tensor, micro_batch_size: int | None = None
    ) -> tf.Tensor | None:
        """Returns the teacher's label distributions for views, of the shape that `call` gives."""
        if self.teacher is None:
            return None

        def ask(piece: tf.Tensor) -> tf.Tensor:
            flat, restore = flatten_views(piece, self.encoder)
            gives, temperature = self.teacher_gives, self.teacher_temperature
            return restore(label_distributions_of(self.teacher, flat, gives, temperature))

        if micro_batch_size is None:
            soft_targets = ask(views)
        else:
            soft_targets = map_micro_batches(ask, views, micro_batch_size)
        if len(labels.shape) < 2 or labels.shape[-1] != soft_targets.shape[-1]:
            raise ValueError(
                "Labels must be distributions over as many classes as `teacher` has. Received: "
                f"labels of the shape {labels.shape}, a teacher of {soft_targets.shape[-1]} classes"
            )
        return soft_targets

    def _compute_both(
        self,
        views: tf.Tensor,
        labels: tf.Tensor,
        soft_targets: tf.Tensor | None,
        projections: tf.Tensor,
        sample_weight: tf.Tensor | None,
        training: bool,
    ) -> tf.Tensor:
        """Computes the loss against the labels, and with a teacher against its distributions."""
        if soft_targets is None:
            return self.compute_loss(views, labels, projections, sample_weight, training=training)
        with at_step(self._steps_made):
            return self._add_distillation(
                lambda targets: self.loss(targets, projections, sample_weight),
                labels,
                soft_targets,
                views,
            )

    @property
    def _steps_made(self) -> Any:
        """What schedules count; `None` for a model that is only evaluated, without an optimizer."""
        return getattr(self.optimizer, "iterations", None)

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Computes the loss, at the temperature of the step."""
        with at_step(self._steps_made):
            return super().compute_loss(*args, **kwargs)

    def _add_distillation(
        self,
        loss_against: Callable[[Any], tf.Tensor],
        labels: Any,
        soft_targets: Any,
        views: tf.Tensor,
    ) -> tf.Tensor:
        """Adds up the loss against labels, that against a teacher's distributions, and penalties.

        Args:
            loss_against: computes the loss against `labels` or `taught`.
            labels: the labels, in a form that `loss_against` takes.
            soft_targets: the teacher's distributions in the same form.
            views: `[batch, ...]`; nothing on a replica that got nothing of an incomplete batch.
        """
        replicas, rows = (
            self.distribute_strategy.num_replicas_in_sync,
            tf.shape(first_array(views))[0],
        )

        def loss_or_nothing(targets: Any) -> tf.Tensor:
            loss = loss_against(targets)
            return tf.where(rows > 0, loss, tf.zeros_like(loss))

        # A teacher of NaN images gives no valid labels.
        known = tf.nest.map_structure(
            lambda x: tf.where(tf.math.is_finite(x), x, 0.0), soft_targets
        )
        distillation = loss_or_nothing(known)
        distillation += tf.cast(nan_unless_finite(soft_targets), distillation.dtype)
        self.distillation_loss.update_state(distillation * replicas, sample_weight=rows)
        terms = [distillation]
        if not math.isinf(self.distillation_weight):
            terms = [loss_or_nothing(labels), self.distillation_weight * distillation]
        return self._add_penalties(terms)

    def _add_penalties(self, terms: list[tf.Tensor]) -> tf.Tensor:
        """Adds up terms of the loss and this replica's share of what layers add to it."""
        replicas, dtype = self.distribute_strategy.num_replicas_in_sync, terms[0].dtype
        return tf.add_n([*terms, *(tf.cast(x, dtype) / replicas for x in self.losses)])

    def _update_metrics(
        self,
        views: tf.Tensor,
        labels: tf.Tensor,
        projections: tf.Tensor,
        sample_weight: tf.Tensor | None,
        loss: tf.Tensor,
    ) -> dict[str, Any]:
        # A replica's loss is its share of the mean over the global batch.
        loss *= self.distribute_strategy.num_replicas_in_sync
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.shape(first_array(views))[0])
        return self.compute_metrics(views, labels, projections, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this model."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "projection_head": keras.saving.serialize_keras_object(self.projection_head),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "num_views": self.num_views,
            "mixing": keras.saving.serialize_keras_object(self.mixing),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "distillation_weight": self.distillation_weight,
            "teacher_temperature": self.teacher_temperature,
            "teacher_gives": self.teacher_gives,
            "micro_batch_size": self.micro_batch_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SupConModel":
        """Rebuilds a model from `get_config`."""
        parts = ("encoder", "projection_head", "augmentation", "mixing", "teacher")
        deserialized = {
            part: keras.saving.deserialize_keras_object(config[part], custom_objects)
            for part in parts
        }
        return cls(**{**config, **deserialized})
