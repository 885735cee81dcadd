"""Linear evaluation of a frozen encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.cross_entropy_model import CrossEntropyModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class LinearClassifier(CrossEntropyModel):
    """A linear layer on a frozen encoder: the linear evaluation of representations.

    `fit` trains the linear layer only. The weights and moving statistics of the encoder do not
    change. The encoder runs in inference mode, unless `batch_statistics` is true.

    Reference: Khosla et al., 2020, section 4 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> classifier = supcon_tf.LinearClassifier(encoder, num_classes=10)
        >>> [tuple(weight.shape) for weight in classifier.trainable_weights]
        [(64, 10), (10,)]

    Args:
        encoder: a built model from images to representations `[batch, dim]`.
        num_classes: number of classes, at least 2.
        class_names: as in `CrossEntropyModel`.
        batch_statistics: whether `fit` runs the encoder in training mode, with dropout and batch
            statistics, as the official TensorFlow code does. `evaluate` and `predict` always use
            the moving statistics, which do not change. The reference PyTorch code runs the encoder
            in inference mode.
        name: name of the model.

    Raises:
        ValueError: as in `CrossEntropyModel`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        *,
        class_names: Sequence[str] | None = None,
        batch_statistics: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(encoder, num_classes, class_names=class_names, name=name, **kwargs)
        self.batch_statistics = batch_statistics

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables of the linear layer."""
        return self.head.trainable_variables if self.trainable else []

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The weights of the linear layer."""
        return self.trainable_variables

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """All other variables, those of the encoder included."""
        return self._without_trainable(self.variables)

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        """All other weights, those of the encoder included."""
        return self._without_trainable(self.weights)

    def _without_trainable(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        trainable = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in variables if id(variable) not in trainable]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the logits `[batch, num_classes]` of images `[batch, ...]`."""
        if training and self.batch_statistics:
            # A stateless call returns the new moving statistics instead of assigning them.
            representations, _ = self.encoder.stateless_call(
                [variable.value for variable in self.encoder.trainable_variables],
                [variable.value for variable in self.encoder.non_trainable_variables],
                images,
                training=True,
            )
        else:
            representations = self.encoder(images, training=False)
        return self.head(tf.stop_gradient(representations))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {**super().get_config(), "batch_statistics": self.batch_statistics}
