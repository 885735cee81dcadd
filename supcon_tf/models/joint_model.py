"""The model that trains a linear classifier during the contrastive training."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_positive
from supcon_tf.labels import UNLABELED, to_class_ids
from supcon_tf.models.classifier_model import ClassifierModel
from supcon_tf.models.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class JointSupConModel(ClassifierModel, ContrastiveModel):
    """An encoder trained as in `SupConModel`, with a linear classifier on its representations.

    By default, the classifier passes no gradient to the encoder. The encoder and the projection
    head therefore train as in `SupConModel`, and one training replaces the two stages. The paper
    reports about the same accuracy for both (section 4.5). With `stop_gradient=False`, the encoder
    minimizes the sum of the contrastive loss and `classifier_weight` times the cross-entropy.

    The classifier minimizes the cross-entropy of every view, with the same optimizer. Samples
    without a label, of class id -1, have the loss 0. `sample_weight` and `class_weight` multiply
    the contrastive loss and the cross-entropy.

    `classify` returns the logits. Besides the contrastive `loss`, the model logs `classifier_loss`
    and `classifier_accuracy`, both over the labeled samples. The accuracy ignores weights.

    Reference: Khosla et al., 2020, section 4.5 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.JointSupConModel(encoder, num_classes=2)
        >>> model.compile("sgd", loss=supcon_tf.SupConLoss(temperature=0.1))
        >>> views = np.random.rand(4, 2, 32, 32, 3).astype("float32")
        >>> logs = model.fit(views, np.array([0, 0, 1, 1]), verbose=0).history
        >>> sorted(logs)
        ['classifier_accuracy', 'classifier_loss', 'loss']
        >>> model.classify(views[:, 0]).shape
        TensorShape([4, 2])

    Args:
        encoder: as in `SupConModel`.
        num_classes: the number of classes, at least 2. Class ids are below it.
        projection_head: as in `SupConModel`.
        stop_gradient: whether the encoder receives no gradient of the cross-entropy.
        classifier_weight: the factor of the cross-entropy in the minimized sum, above 0. The logged
            `classifier_loss` has no factor.
        class_names: as in `CrossEntropyModel`.
        augmenter: as in `SupConModel`.
        num_views: as in `SupConModel`.
        name: name of the model.

    Raises:
        ValueError: as in `SupConModel`, or if `num_classes` is not an integer of at least 2 or
            `class_names` are not `num_classes` distinct strings, or `classifier_weight` is not
            positive; in training, if class ids are not
            below `num_classes`, or labels are missing.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        projection_head: keras.Layer | None = None,
        *,
        stop_gradient: bool = True,
        classifier_weight: float = 1.0,
        class_names: Sequence[str] | None = None,
        augmenter: keras.Layer | None = None,
        num_views: int = 2,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            encoder,
            projection_head,
            num_classes=num_classes,
            class_names=class_names,
            augmenter=augmenter,
            num_views=num_views,
            name=name,
            **kwargs,
        )
        self.stop_gradient = stop_gradient
        self.classifier_weight = check_positive("classifier_weight", classifier_weight)
        self.classifier = keras.layers.Dense(self.num_classes, dtype="float32", name="classifier")
        self.classifier.build(self.encoder.output_shape)
        self.classifier_loss = keras.metrics.Mean("classifier_loss")
        self.classifier_accuracy = keras.metrics.Mean("classifier_accuracy")

    def classify(self, images: tf.Tensor) -> tf.Tensor:
        """Classifies images in inference mode.

        Args:
            images: as in `encode`.

        Returns:
            `[batch, num_classes]` or `[batch, views, num_classes]` logits.
        """
        return self.classifier(self.encode(images))

    def train_step(self, data: Any) -> dict[str, Any]:
        """Updates the encoder and head by the contrastive loss, the classifier by cross-entropy."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        with tf.GradientTape() as tape:
            representations, projections = self._represent_and_project(
                views, self.encoder, self.projection_head, training=True
            )
            loss = self.compute_loss(views, labels, projections, sample_weight, training=True)
            if self.stop_gradient:
                representations = tf.stop_gradient(representations)
            cross_entropy = self._cross_entropy(representations, labels, sample_weight)
            total = tf.cast(loss, tf.float32) + self.classifier_weight * cross_entropy
            scaled_loss = self.optimizer.scale_loss(total)
        self._apply_gradients(tape.gradient(scaled_loss, self.trainable_variables))
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Computes both losses, the accuracy and the metrics."""
        images, labels, sample_weight = self._unpack(data)
        views = self._make_views(images)
        representations, projections = self._represent_and_project(
            views, self.encoder, self.projection_head, training=False
        )
        loss = self.compute_loss(views, labels, projections, sample_weight, training=False)
        self._cross_entropy(representations, labels, sample_weight)
        return self._update_metrics(views, labels, projections, sample_weight, loss)

    def _unpack(self, data: Any) -> tuple[Any, Any, Any]:
        """Splits a batch into images, labels and sample weights.

        Raises:
            ValueError: if there are no labels.
        """
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None:
            raise ValueError(
                "`y` must hold class ids for the classifier, -1 for samples without a label. "
                "SupConModel trains without labels. Received: a batch without labels"
            )
        return images, labels, sample_weight

    def _check_batch(self, data: Any) -> list[tf.Tensor]:
        """Checks the values of the labels as the loss and the classifier do."""
        _, labels, _ = self._unpack(data)
        return [*super()._check_batch(data), to_class_ids(labels, self.num_classes)]

    def _cross_entropy(
        self, representations: tf.Tensor, labels: tf.Tensor, sample_weight: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns this replica's share of the classifier's loss, and updates its metrics."""
        logits = self.classifier(representations)
        ids = to_class_ids(labels, self.num_classes)
        views = tf.shape(logits)[0] // tf.shape(ids)[0]
        ids = tf.repeat(ids, views)
        labeled = tf.cast(ids != UNLABELED, logits.dtype)
        losses = labeled * tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.maximum(ids, 0), logits
        )
        if sample_weight is not None:
            weights = tf.cast(tf.reshape(sample_weight, [-1]), losses.dtype)
            losses *= tf.repeat(weights, views)
        correct = tf.argmax(logits, axis=1, output_type=ids.dtype) == ids
        self.classifier_loss.update_state(losses, sample_weight=labeled)
        self.classifier_accuracy.update_state(correct, sample_weight=labeled)
        return tf.reduce_mean(losses) / self.distribute_strategy.num_replicas_in_sync

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "stop_gradient": self.stop_gradient,
            "classifier_weight": self.classifier_weight,
        }
