"""The base of the contrastive models: an encoder, a projection head and views."""

from typing import Any, TypeVar

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf._epochs import DATASETS
from supcon_tf.encoders.l2_normalization import L2Normalization
from supcon_tf.encoders.pixels import find_pixels
from supcon_tf.losses.embedding import EmbeddingLoss, convert_labels, require_no_mask
from supcon_tf.losses.pairwise import PairwiseSupConLoss
from supcon_tf.losses.temperature import at_step
from supcon_tf.metrics import COMPARE_CLASSES
from supcon_tf.models.arguments import (
    CLASS_METRICS,
    check_encoder,
    check_projection_head,
    find_from_logits,
    require_layer,
)
from supcon_tf.models.distributed_model import loss_metric
from supcon_tf.models.encoder_model import EncoderModel
from supcon_tf.models.first_batch import first_rows
from supcon_tf.models.fit_data import check_data, require_no_images
from supcon_tf.models.heads import projection_head as default_projection_head
from supcon_tf.models.unlabeled import (
    require_no_distributions,
    unlabeled,
    warn_of_single_samples,
    warn_without_positives,
)
from supcon_tf.models.views import (
    compute_rows,
    first_array,
    has_views,
    is_multi_crop,
    map_arrays,
)

_Model = TypeVar("_Model", bound="ContrastiveModel")


class ContrastiveModel(EncoderModel):
    """A model that projects views of samples to unit vectors.

    Subclasses implement `train_step` and `test_step`.

    Args:
        encoder: as in `SupConModel`.
        projection_head: as in `SupConModel`.
        augmenter: as in `SupConModel`.
        num_views: as in `SupConModel`.
        name: name of the model.

    Raises:
        ValueError: if an argument is not of the kind above, or if `num_views` is given without
            `augmenter`.
    """

    # Whether the loss compares the samples of a batch with each other only.
    _compares_samples = True

    # The constructor arguments that `from_config` deserializes.
    _parts: tuple[str, ...] = ("encoder", "projection_head", "augmenter")

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Layer | None,
        *,
        augmenter: keras.Layer | None,
        num_views: int,
        name: str | None,
        **kwargs: Any,
    ):
        dim = check_encoder(encoder)
        require_layer("projection_head", projection_head, ", such as `supcon_tf.projection_head()`")
        require_layer(
            "augmenter",
            augmenter,
            "; for transforms of `supcon_tf.augmentation`, create the views in the data pipeline "
            "with `supcon_tf.data.multi_view_batches`",
        )
        num_views = check_integer("num_views", num_views)
        if augmenter is None and num_views != 2:
            raise ValueError(
                "`num_views` is the number of views that `augmenter` creates of each image. "
                "Without `augmenter`, pass ready views [batch, views, ...] and omit `num_views`. "
                f"Received: num_views={num_views}, augmenter=None"
            )
        super().__init__(name=name, **kwargs)
        self.encoder = encoder
        self.projection_head = projection_head or default_projection_head((dim, 128))
        if not self.projection_head.built:
            self.projection_head.build((None, dim))
        check_projection_head(self.projection_head, dim)
        self.augmenter = augmenter
        self.num_views = num_views
        self.normalization = L2Normalization(dtype="float32", name="normalization")
        self.built = True

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Configures the model for training, like `keras.Model.compile`.

        Raises:
            ValueError: if `loss` or one of the `metrics` is a string or takes classes, as most
                losses and metrics of Keras. They do not take projections. For PairwiseSupConLoss,
                also if one of the `metrics` compares the classes of samples.
        """
        for part in tf.nest.flatten(loss):
            if isinstance(part, str) or find_from_logits(part) is not None:
                raise ValueError(
                    "`loss` must be a contrastive loss object, such as `supcon_tf.SupConLoss()`. "
                    "For a classifier beside it, use `JointSupConModel`; for cross-entropy alone, "
                    f"`CrossEntropyModel`. Received: loss={loss!r}"
                )
        if any(isinstance(part, (str, *CLASS_METRICS)) for part in tf.nest.flatten(metrics)):
            raise ValueError(
                "`metrics` must take labels and projections, like the functions in "
                "`supcon_tf.metrics`. For accuracy, use `JointSupConModel` or `LinearClassifier`. "
                f"Received: metrics={metrics}"
            )
        if isinstance(loss, PairwiseSupConLoss):
            _require_no_classes(metrics)
        super().compile(optimizer, loss, loss_weights, metrics, *args, **kwargs)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains the model, like `keras.Model.fit`.

        Without labels, the only positives of a sample are its own other views, as in SimCLR. This
        requires a loss of class ids.

        Warns if no anchor of the first batch has a positive, or batches hold a single sample.

        Raises:
            ValueError: as in `EncoderModel.fit`, or if the loss is a PairwiseSupConLoss and arrays
                would be shuffled.
        """
        check_data(x, y)
        if self.compiled and isinstance(self.loss, PairwiseSupConLoss):
            _require_order(x, bool(kwargs.get("shuffle", True)))
        if self._compares_samples:
            warn_of_single_samples(x, batch_size)
        if self.compiled and self._can_lack_positives(x):
            shuffle = bool(kwargs.get("shuffle", True))
            warn_without_positives(self.loss, x, y, batch_size, shuffle)
        return super().fit(x, y, batch_size, *args, **kwargs)

    def _can_lack_positives(self, x: Any) -> bool:
        """Returns whether the data of `fit` is known to have a single view of each sample."""
        if isinstance(x, tf.data.Dataset):
            x, _, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        if x is None or not all(hasattr(array, "shape") for array in tf.nest.flatten(x)):
            return False
        if has_views(x, self.encoder):
            return first_array(x).shape[1] == 1 and not is_multi_crop(x, self.encoder)
        return self.augmenter is None or self.num_views == 1

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Projects images.

        Args:
            images: `[batch, height, width, channels]` or `[batch, views, height, width, channels]`.
                For an encoder with several inputs, a dict or list of such arrays. For views of
                several sizes, a tuple of arrays of views, one for each size.
            training: whether batch normalization and dropout run in training mode.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` float32 projections of unit length. The views
            of several sizes are in the order of the arrays.
        """
        return self._project(images, self.encoder, self.projection_head, training)

    def _project(
        self, images: tf.Tensor, encoder: keras.Model, head: keras.Layer, training: bool
    ) -> tf.Tensor:
        """Projects images with the given encoder and head."""
        return self._represent_and_project(images, encoder, head, training)[1]

    def _represent_and_project(
        self, images: tf.Tensor, encoder: keras.Model, head: keras.Layer, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns representations `[batch * views, dim]`, and projections as from `call`."""

        def represent(inputs: Any) -> tf.Tensor:
            representations = encoder(inputs, training=training)
            require_no_mask("encoder", representations)
            return representations

        representations, restore = compute_rows(represent, images, self.encoder)
        projections = head(representations, training=training)
        return representations, restore(self.normalization(tf.cast(projections, tf.float32)))

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """Computes representations in inference mode.

        Args:
            images: `[batch, height, width, channels]` or `[batch, views, height, width, channels]`.
                For an encoder with several inputs, a dict or list of such arrays. For views of
                several sizes, a tuple of arrays of views, one for each size.

        Returns:
            `[batch, dim]` or `[batch, views, dim]` outputs of the encoder.

        Raises:
            ValueError: if the encoder is one of `supcon_tf.encoders` and the images are integers or
                have pixels above 10.
        """
        is_array = not tf.nest.is_nested(self.inputs) and not isinstance(images, dict)
        if is_array and not is_multi_crop(images, self.encoder):
            images = tf.convert_to_tensor(images)
        images = map_arrays(tf.convert_to_tensor, images)
        if tf.executing_eagerly() and find_pixels(self.encoder) is not None:
            self._check_pixels(first_rows(images))
        representations, restore = compute_rows(
            lambda inputs: self.encoder(inputs, training=False), images, self.encoder
        )
        return restore(representations)

    def _unpack(self, data: Any) -> tuple[Any, Any, Any]:
        """Splits a batch into images, labels and sample weights. Missing labels become -1."""
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        require_no_images(labels)
        if labels is None and isinstance(self.loss, EmbeddingLoss):
            require_no_distributions(self.loss)
            labels = unlabeled(images)
        return images, labels, sample_weight

    def _make_views(self, images: Any) -> Any:
        """Creates `num_views` views of each image. Returns ready views unchanged."""
        if self.augmenter is None or has_views(images, self.encoder):
            return images
        views = [self.augmenter(images, training=True) for _ in range(self.num_views)]
        return map_arrays(lambda *x: tf.stack(x, axis=1), *views)

    def _inputs_of_encoder(self, inputs: Any) -> Any:
        """Returns ready views, or the images as `augmenter` scales them."""
        if self.augmenter is None or has_views(inputs, self.encoder):
            return inputs
        return self.augmenter(inputs, training=False)  # draws no random numbers

    def _prepare_specs(self, specs: Any) -> Any:
        images, labels, sample_weight = self._unpack(specs)
        if self.augmenter is not None and not has_views(images, self.encoder):
            images = map_arrays(
                lambda x: keras.KerasTensor((x.shape[0], self.num_views, *x.shape[1:]), x.dtype),
                self.augmenter.compute_output_spec(images),
            )
        return images, labels, sample_weight

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of the labels as the loss does."""
        _, labels, _ = self._unpack(data)
        if not isinstance(self.loss, EmbeddingLoss):
            return []
        return [convert_labels(self.loss, labels)]

    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Computes the loss at the temperature of the current step."""
        with at_step(self._current_step):
            return super().compute_loss(*args, **kwargs)

    @property
    def _current_step(self) -> Any:
        """The step number for schedules, `None` without an optimizer."""
        return getattr(self.optimizer, "iterations", None)

    def _update_metrics(
        self,
        views: tf.Tensor,
        labels: tf.Tensor,
        projections: tf.Tensor,
        sample_weight: tf.Tensor | None,
        loss: tf.Tensor,
    ) -> dict[str, Any]:
        """Updates the mean of the loss and the compiled metrics, and returns their values."""
        # The loss of a replica is its share of the mean over the global batch.
        loss *= self.distribute_strategy.num_replicas_in_sync
        mean_loss = loss_metric(self)
        if mean_loss is not None:
            mean_loss.update_state(loss, sample_weight=tf.shape(first_array(views))[0])
        return self.compute_metrics(views, labels, projections, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        parts = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self._parts
        }
        return {**super().get_config(), **parts, "num_views": self.num_views}

    @classmethod
    def from_config(
        cls: type[_Model], config: dict[str, Any], custom_objects: Any = None
    ) -> _Model:
        """Creates a model from the output of `get_config`."""
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in cls._parts
        }
        return cls(**{**config, **parts})


def _require_order(x: Any, shuffle: bool) -> None:
    """Raises `ValueError` if `fit` shuffles samples, but not the columns of their pair weights."""
    if shuffle and x is not None and not isinstance(x, DATASETS):
        raise ValueError(
            "`shuffle` must be False for arrays and a PairwiseSupConLoss, because Keras would "
            "shuffle the rows of the weights and not their columns. Or pass a `tf.data.Dataset` of "
            "batches and their weights. Received: shuffle=True"
        )


def _require_no_classes(metrics: Any) -> None:
    """Raises `ValueError` if metrics compare classes, for labels that are weights of pairs."""
    names = [part.__name__ for part in tf.nest.flatten(metrics) if part in COMPARE_CLASSES]
    if names:
        raise ValueError(
            "`metrics` must not compare classes, which PairwiseSupConLoss does not know. Use "
            f"`supcon_tf.metrics.alignment` and `uniformity`. Received: {', '.join(names)}"
        )
