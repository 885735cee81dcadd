"""Classifiers on encoders: a linear one on a frozen encoder, and the cross-entropy baseline."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_integer
from supcon_tf.models.arguments import require_representations
from supcon_tf.models.encoder_model import EncoderModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class CrossEntropyModel(EncoderModel):
    """An encoder and a linear layer on top, trained together: the baseline of the paper.

    It takes whatever the encoder takes, dicts and lists of several inputs included.

    Examples:
        >>> import keras, numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.CrossEntropyModel(encoder, num_classes=10)
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("sgd", loss=loss, metrics=["accuracy"])
        >>> model(np.zeros([2, 32, 32, 3], "float32")).shape
        TensorShape([2, 10])

    Args:
        encoder: a built model from images to representations `[batch, dim]`.
        num_classes: how many classes, at least 2.
        name: name of the model.

    Raises:
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, or `num_classes`
            is not an integer of at least 2; in `compile`, if the loss takes probabilities.
    """

    def __init__(
        self, encoder: keras.Model, num_classes: int, *, name: str | None = None, **kwargs: Any
    ):
        dim = require_representations(encoder)
        num_classes = check_integer("num_classes", num_classes, least=2)
        super().__init__(name=name, **kwargs)
        self.encoder = encoder
        self.num_classes = num_classes
        self.head = keras.layers.Dense(num_classes, dtype="float32", name="classifier")
        self.head.build((None, dim))
        self.built = True

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Configures the training, as `keras.Model.compile` does.

        Raises:
            ValueError: if `loss` takes probabilities, which the model's logits are not.
        """
        for part in tf.nest.flatten(loss):
            if part is not None and _takes_probabilities(keras.losses.get(part)):
                raise ValueError(
                    "`loss` must take logits, such as "
                    "`keras.losses.SparseCategoricalCrossentropy(from_logits=True)`. "
                    f"Received: loss={part!r}, which takes probabilities"
                )
        super().compile(optimizer, loss, *args, **kwargs)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Classifies images `[batch, height, width, channels]`: `[batch, num_classes]` logits."""
        return self.head(self.encoder(images, training=training))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this model."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "num_classes": self.num_classes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CrossEntropyModel":
        """Rebuilds a model from `get_config`."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"], custom_objects)
        return cls(**{**config, "encoder": encoder})


@keras.saving.register_keras_serializable(package="supcon_tf")
class LinearClassifier(CrossEntropyModel):
    """A linear layer trained on a frozen encoder: how representations are judged.

    Nothing of the encoder changes in `fit`. It is used as in inference, batch normalization with
    its moving statistics included, unless `batch_statistics` says otherwise.

    Reference: Khosla et al., 2020, section 4 (https://arxiv.org/abs/2004.11362).

    Examples:
        >>> import numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> classifier = supcon_tf.LinearClassifier(encoder, num_classes=10)
        >>> [tuple(weight.shape) for weight in classifier.trainable_weights]
        [(64, 10), (10,)]

    Args:
        encoder: a built model from images to representations `[batch, dim]`.
        num_classes: how many classes, at least 2.
        batch_statistics: whether the encoder is used as in training while the linear layer trains,
            with dropout and the statistics of the batch, as in the official TensorFlow code; its
            moving statistics, which `evaluate` and `predict` use, stay as they are. The reference
            PyTorch code uses it as in inference.
        name: name of the model.

    Raises:
        ValueError: as `CrossEntropyModel` does.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        *,
        batch_statistics: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(encoder, num_classes, name=name, **kwargs)
        self.batch_statistics = batch_statistics

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The linear layer's."""
        return self.head.trainable_variables if self.trainable else []

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The linear layer's."""
        return self.trainable_variables

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        """All others, which the encoder's are."""
        return self._without_trainable(self.variables)

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        """All others, which the encoder's are."""
        return self._without_trainable(self.weights)

    def _without_trainable(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        trainable = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in variables if id(variable) not in trainable]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Classifies images `[batch, height, width, channels]`: `[batch, num_classes]` logits."""
        if training and self.batch_statistics:
            # Without a state of its own, the encoder only returns its new moving statistics.
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
        """Returns the arguments that rebuild this model."""
        return {**super().get_config(), "batch_statistics": self.batch_statistics}


def _takes_probabilities(loss: Any) -> bool:
    """Tells whether a loss of Keras is one of probabilities."""
    if isinstance(loss, keras.losses.Loss):
        from_logits = loss.get_config().get("from_logits")
    elif callable(loss):
        parameters = inspect.signature(loss).parameters
        from_logits = parameters["from_logits"].default if "from_logits" in parameters else None
    else:
        return False
    is_divergence = loss is keras.losses.kl_divergence or isinstance(
        loss, keras.losses.KLDivergence
    )
    return from_logits is False or is_divergence
