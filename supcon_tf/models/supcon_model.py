"""The model that trains an encoder and a projection head with a contrastive loss."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.augmentation import Mixing
from supcon_tf.losses.generalized import GeneralizedSupConLoss
from supcon_tf.losses.temperature import at_step
from supcon_tf.models.contrastive_model import ContrastiveModel
from supcon_tf.models.distillation import Distillation, require_classes
from supcon_tf.models.gradient_cache import differentiate, map_micro_batches
from supcon_tf.models.mixing_layer import MixingLayer, as_layer
from supcon_tf.models.unlabeled import unlabeled
from supcon_tf.models.views import compute_rows, first_array


@keras.saving.register_keras_serializable(package="supcon_tf")
class SupConModel(ContrastiveModel):
    r"""An encoder and a projection head, trained with a contrastive loss.

    `model(images)` returns projections of unit length, in float32 under every dtype policy.
    `model.encode(images)` returns the representations, which remain when the projection head is
    discarded after training.

    `fit`, `evaluate` and `predict` take either images `[batch, height, width, channels]`, from
    which `augmenter` creates views, or ready views `[batch, views, height, width, channels]`.
    Without `augmenter`, an image is its own single view. The views can have any size that the
    encoder accepts.

    The inputs do not have to be images. An encoder can take rows of numbers `[batch, columns]` or
    tokens `[batch, length]`, whose views are `[batch, views, columns]` or `[batch, views, length]`.
    The model distinguishes views from single inputs by the rank of the encoder's input. For an
    encoder with several inputs, pass dicts or lists of arrays, either all with or all without the
    axis of views.

    Views can have two or more sizes, as in multi-crop: pass a tuple with an array of views for each
    size, such as large crops `[batch, 2, 32, 32, 3]` and small ones `[batch, 4, 16, 16, 3]`. The
    encoder must have a single input that accepts all sizes. The model calls it once for each size,
    so batch normalization sees each size separately, and the projection head once for all views.
    The loss compares all views of all sizes. SwAV instead compares every view with the large ones.

    Random layers inside `augmenter` draw different numbers on each replica. To train to the same
    weights on one and on several replicas, create the views in the data pipeline.

    References: Khosla et al., "Supervised Contrastive Learning", 2020, section 3.1
    (https://arxiv.org/abs/2004.11362); Kim et al., "Generalized Supervised Contrastive Learning",
    2022, for mixing and distillation (https://arxiv.org/abs/2206.00384); Caron et al., "SwAV",
    2020, for views of several sizes (https://arxiv.org/abs/2006.09882).

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
        projection_head: a model from representations to projections `[batch, dim]`. The default has
            one hidden layer as wide as the representation, and 128 outputs.
        augmenter: a layer from images `[batch, ...]` to random views of them. The model calls it
            once for each view, with `training=True` in `evaluate` too.
        num_views: the number of views that `augmenter` creates of each image. Omit it without
            `augmenter`.
        mixing: a `supcon_tf.augmentation.Mixing`, for labels that are distributions `[batch,
            classes]`; a `MixingLayer`, which takes class ids too; or another layer from views and
            labels to mixed ones. The model calls it after `augmenter`, with `training=True` in
            `fit` and `training=False` in `evaluate`. Requires a `GeneralizedSupConLoss`.
        distillation: a `Distillation`, whose teacher classifies the views, after mixing, and adds a
            term to the loss. Requires a `GeneralizedSupConLoss`.
        micro_batch_size: the number of images of a replica's batch to encode at a time, a divisor
            of the batch size. `None` encodes the whole batch at once. The loss and its gradient
            remain those of the whole batch, in the memory of a micro-batch and 4/3 of the time.
            A first pass projects all images without storing activations and computes the gradient
            with respect to the projections. A second pass projects each micro-batch again and
            propagates that gradient to the weights (gradient caching, Gao et al., 2021,
            https://arxiv.org/abs/2101.06983). Dropout repeats its masks. Only batch normalization
            changes the result, because it takes its statistics from a micro-batch. Layers that add
            losses of their activations are not supported.
        name: name of the model.

    Raises:
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, `num_views` or
            `micro_batch_size` is not a positive integer, or another argument is not as described;
            in `compile`, if `distillation` is given and `loss` is not a `GeneralizedSupConLoss` or
            has `loss_weights`; before the first step, if the labels do not have the classes of the
            teacher.
    """

    _parts = (*ContrastiveModel._parts, "mixing", "distillation")

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        augmenter: keras.Layer | None = None,
        num_views: int = 2,
        mixing: Mixing | keras.Layer | None = None,
        distillation: Distillation | None = None,
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        mixing = as_layer(mixing)
        if not (distillation is None or isinstance(distillation, Distillation)):
            raise ValueError(
                "`distillation` must be a `supcon_tf.Distillation(teacher)`. "
                f"Received: {distillation!r}"
            )
        if micro_batch_size is not None:
            micro_batch_size = check_integer("micro_batch_size", micro_batch_size)
        super().__init__(
            encoder,
            projection_head,
            augmenter=augmenter,
            num_views=num_views,
            name=name,
            **kwargs,
        )
        self.mixing = mixing
        self.distillation = distillation
        if distillation is not None:
            distillation._attach(self)
        self.micro_batch_size = micro_batch_size

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
            ValueError: if `loss` or one of the `metrics` is a string; with `distillation`, if
                `loss` is not a `GeneralizedSupConLoss`, or has `loss_weights`.
        """
        if self.distillation is not None and not (
            isinstance(loss, GeneralizedSupConLoss) and loss_weights is None
        ):
            raise ValueError(
                "`loss` must be a GeneralizedSupConLoss, without `loss_weights`, when the model "
                f"has a `distillation`. Received: loss={loss}, loss_weights={loss_weights}"
            )
        super().compile(optimizer, loss, loss_weights, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the encoder and the projection head by the gradient of the loss."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        views, labels = self._mix(views, labels, training=True)
        soft_targets = self._soft_targets(views, labels, self.micro_batch_size)
        projections, loss, gradients = differentiate(
            self,
            views,
            lambda projections: self._total_loss(
                views, labels, soft_targets, projections, sample_weight, training=True
            ),
            self.micro_batch_size,
        )
        self._apply_gradients(gradients)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Computes the loss and the metrics."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        views, labels = self._mix(views, labels, training=False)
        soft_targets = self._soft_targets(views, labels)
        projections = self(views, training=False)
        loss = self._total_loss(
            views, labels, soft_targets, projections, sample_weight, training=False
        )
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def _unpack(self, data: Any) -> tuple[Any, Any, Any]:
        """Splits a batch into images, labels and sample weights. Missing labels become -1."""
        if self.mixing is None:
            return super()._unpack(data)
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return images, unlabeled(images) if labels is None else labels, sample_weight

    def _mix(
        self, views: tf.Tensor, labels: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixes views and labels if the model has a mixing layer."""
        if self.mixing is None:
            return views, labels
        return self.mixing(views, labels, training=training)

    def _soft_targets(
        self, views: tf.Tensor, labels: tf.Tensor, micro_batch_size: int | None = None
    ) -> tf.Tensor | None:
        """Returns the soft targets `[batch, views, classes]` of the teacher, `None` without one."""
        distillation = self.distillation
        if distillation is None:
            return None

        def classify(views: tf.Tensor) -> tf.Tensor:
            probabilities, restore = compute_rows(distillation, views, self.encoder)
            return restore(probabilities)

        soft_targets = map_micro_batches(classify, views, micro_batch_size)
        require_classes(labels, soft_targets)
        return soft_targets

    def _total_loss(
        self,
        views: tf.Tensor,
        labels: tf.Tensor,
        soft_targets: tf.Tensor | None,
        projections: tf.Tensor,
        sample_weight: tf.Tensor | None,
        training: bool,
    ) -> tf.Tensor:
        """Computes the loss of the labels and, with a teacher, of the soft targets."""
        if self.distillation is None:
            return self.compute_loss(views, labels, projections, sample_weight, training=training)
        with at_step(self._current_step):
            terms = self.distillation._loss_terms(
                lambda targets: self.loss(targets, projections, sample_weight),
                labels,
                soft_targets,
                num_samples=tf.shape(first_array(views))[0],
            )
        return self._add_regularization(terms)

    def _add_regularization(self, terms: list[tf.Tensor]) -> tf.Tensor:
        """Adds up terms of the loss and this replica's share of the losses of layers."""
        replicas, dtype = self.distribute_strategy.num_replicas_in_sync, terms[0].dtype
        return tf.add_n([*terms, *(tf.cast(x, dtype) / replicas for x in self.losses)])

    def _can_lack_positives(self, x: Any) -> bool:
        # Mixed labels are similar to the labels of many other samples.
        return self.mixing is None and super()._can_lack_positives(x)

    def _prepare_specs(self, specs: Any) -> Any:
        images, labels, sample_weight = super()._prepare_specs(specs)
        return (*self._mix(images, labels, training=False), sample_weight)

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of the labels as the loss, or the mixing before it, does."""
        if self.mixing is None:
            return super()._check_batch(data)
        if isinstance(self.mixing, MixingLayer):
            _, labels, _ = self._unpack(data)
            return [self.mixing._soft_labels(labels)]
        return []

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {**super().get_config(), "micro_batch_size": self.micro_batch_size}
