"""The model that pairs an encoder with a projection head."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.checks import require_positive_integer, require_representations
from supcon_tf.models.gradient_cache import project_in_pieces
from supcon_tf.models.heads import projection_head as default_projection_head
from supcon_tf.models.replicated import ReplicatedModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class SupConModel(ReplicatedModel):
    """An encoder and a projection head, trained with a contrastive loss.

    `model(images)` gives projections of unit length, in float32 under every dtype policy;
    `model.encode(images)` gives the representations that are kept after the training, when the
    projection head is thrown away.

    `fit`, `evaluate` and `predict` take images `[batch, height, width, channels]`, of which
    `augmentation` makes views, or ready views `[batch, views, height, width, channels]`. Without
    `augmentation` an image is its own single view. Random layers inside `augmentation` draw for
    each replica on its own; where the same weights on 1 and on N replicas matter, make the views in
    the data pipeline instead.

    Reference: Khosla et al., "Supervised Contrastive Learning", 2020, section 3.1
    (https://arxiv.org/abs/2004.11362).

    Example:
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
        augmentation: a layer that turns images `[batch, height, width, channels]` into random views
            of them, called with `training=True` once for each view, also in `evaluate`.
        num_views: how many views `augmentation` makes of each image.
        micro_batch_size: `None`, or how many images of a batch (on each replica) are encoded at the
            same time, a divisor of the batch size: the loss and its gradient are still those of the
            whole batch, in the memory that a micro-batch needs and 4/3 of the time. All images are
            projected once without keeping activations, for the gradient with respect to their
            projections, and once more, piece by piece, to carry that gradient on to the weights
            (gradient caching, Gao et al., 2021, https://arxiv.org/abs/2101.06983). Dropout repeats
            its masks. Batch normalisation takes its statistics of each micro-batch: only there does
            the result differ. Not for layers with activity regularisers.
        name: name of the model.

    Raises:
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or `num_views` or
            `micro_batch_size` is not a positive integer.
    """

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None = None,
        *,
        augmentation: keras.Layer | None = None,
        num_views: int = 2,
        micro_batch_size: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        dim = require_representations(encoder)
        require_positive_integer("num_views", num_views)
        if micro_batch_size is not None:
            require_positive_integer("micro_batch_size", micro_batch_size)
        super().__init__(name=name, **kwargs)
        self.encoder = encoder
        self.projection_head = projection_head or default_projection_head((dim, 128))
        if not self.projection_head.built:
            self.projection_head.build((None, dim))
        self.augmentation = augmentation
        self.num_views = num_views
        self.micro_batch_size = micro_batch_size
        self.normalization = keras.layers.UnitNormalization(dtype="float32", name="normalization")
        self.built = True

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Projects images.

        Args:
            images: `[batch, height, width, channels]`, or
                `[batch, views, height, width, channels]`.
            training: whether batch normalisation and dropout behave as in training.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` float32 projections of unit length.
        """
        return self.project(images, self.encoder, self.projection_head, training)

    def project(
        self, images: tf.Tensor, encoder: keras.Model, head: keras.Layer, training: bool
    ) -> tf.Tensor:
        """Projects images with an encoder and a head, as `call` does with those of the model."""
        flat, restore = flatten_views(images)
        projections = head(encoder(flat, training=training), training=training)
        return restore(self.normalization(tf.cast(projections, tf.float32)))

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """Computes representations for inference.

        Args:
            images: `[batch, height, width, channels]`, or
                `[batch, views, height, width, channels]`.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` outputs of the encoder.
        """
        flat, restore = flatten_views(tf.convert_to_tensor(images))
        return restore(self.encoder(flat, training=False))

    def make_views(self, images: tf.Tensor) -> tf.Tensor:
        """Makes `num_views` views of each image; ready views stay as they are."""
        if self.augmentation is None or len(images.shape) == 5:
            return images
        return tf.stack(
            [self.augmentation(images, training=True) for _ in range(self.num_views)], axis=1
        )

    def _as_seen_by_metrics(self, specs: Any) -> Any:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(specs)
        if self.augmentation is not None and len(images.shape) < 5:
            view = self.augmentation.compute_output_spec(images)
            shape = (view.shape[0], self.num_views, *view.shape[1:])
            images = keras.KerasTensor(shape, view.dtype)
        return images, labels, sample_weight

    def train_step(self, data: Any) -> dict[str, Any]:
        """Makes views, compares their projections and updates encoder and head."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        views = self.make_views(images)
        projections, loss, gradients = self.differentiate(
            views,
            lambda z: self.compute_loss(views, labels, z, sample_weight, training=True),
        )
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
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
        projections, pull_back = project_in_pieces(self, views, self.micro_batch_size)
        with tf.GradientTape() as tape:
            tape.watch(projections)
            loss = loss_of(projections)
            scaled_loss = self.optimizer.scale_loss(loss)
        # Weights meet the loss directly too, in their regularisers.
        upstream, direct = tape.gradient(scaled_loss, (projections, self.trainable_variables))
        gradients = [
            x if y is None else x + y for x, y in zip(pull_back(upstream), direct, strict=True)
        ]
        return projections, loss, gradients

    def test_step(self, data: Any) -> dict[str, Any]:
        """Makes views and compares their projections."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        views = self.make_views(images)
        projections = self(views, training=False)
        loss = self.compute_loss(views, labels, projections, sample_weight, training=False)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

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
                metric.update_state(loss, sample_weight=tf.shape(views)[0])
        return self.compute_metrics(views, labels, projections, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this model."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "projection_head": keras.saving.serialize_keras_object(self.projection_head),
            "augmentation": keras.saving.serialize_keras_object(self.augmentation),
            "num_views": self.num_views,
            "micro_batch_size": self.micro_batch_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SupConModel":
        """Rebuilds a model from `get_config`."""
        parts = ("encoder", "projection_head", "augmentation")
        deserialized = {
            part: keras.saving.deserialize_keras_object(config[part], custom_objects)
            for part in parts
        }
        return cls(**{**config, **deserialized})


def flatten_views(images: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Makes `[batch, ...]` of `[batch, views, ...]`, and a function that undoes it on outputs."""
    rank = len(images.shape)
    if rank == 4:
        return images, lambda outputs: outputs
    if rank != 5:
        raise ValueError(
            "`images` must have shape [batch, height, width, channels], or [batch, views, height, "
            f"width, channels]. Received: shape={images.shape}"
        )
    views = images.shape[1]
    if views is None:
        raise ValueError(
            f"The number of views must be known statically. Received: shape={images.shape}"
        )
    flat = keras.ops.reshape(images, (-1, *images.shape[2:]))
    return flat, lambda outputs: keras.ops.reshape(outputs, (-1, views, *outputs.shape[1:]))
