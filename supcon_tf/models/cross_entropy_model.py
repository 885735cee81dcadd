"""The cross-entropy baseline."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.losses.embedding import EmbeddingLoss
from supcon_tf.models.arguments import check_encoder, find_from_logits
from supcon_tf.models.classifier_model import ClassifierModel


@keras.saving.register_keras_serializable(package="supcon_tf")
class CrossEntropyModel(ClassifierModel):
    """An encoder and a linear layer, trained together: the baseline of the paper.

    The model takes the inputs of the encoder, including a dict or list of several arrays.

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
        num_classes: number of classes, at least 2.
        class_names: the names of the classes in the order of the class ids. The attribute of this
            name holds them as a tuple, also after loading.
        name: name of the model.

    Raises:
        ValueError: if the encoder is not built, its output is not `[batch, dim]`, `num_classes` is
            not an integer of at least 2, or `class_names` are not `num_classes` distinct strings;
            in `compile`, if the loss takes probabilities.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        *,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        dim = check_encoder(encoder)
        super().__init__(num_classes=num_classes, class_names=class_names, name=name, **kwargs)
        self.encoder = encoder
        self.head = keras.layers.Dense(self.num_classes, dtype="float32", name="classifier")
        self.head.build((None, dim))
        self.built = True

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Configures the model for training, like `keras.Model.compile`.

        Raises:
            ValueError: if `loss` takes probabilities or embeddings. The model returns logits.
        """
        for part in tf.nest.flatten(loss):
            taken = None if part is None else _find_unsuitable(keras.losses.get(part))
            if taken is not None:
                raise ValueError(
                    "`loss` must take logits, such as "
                    "`keras.losses.SparseCategoricalCrossentropy(from_logits=True)`. "
                    f"Received: loss={part!r}, which takes {taken}"
                )
        super().compile(optimizer, loss, *args, **kwargs)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the logits `[batch, num_classes]` of images `[batch, ...]`."""
        return self.head(self.encoder(images, training=training))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CrossEntropyModel":
        """Creates a model from the output of `get_config`."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"], custom_objects)
        return cls(**{**config, "encoder": encoder})


def _find_unsuitable(loss: Any) -> str | None:
    """Returns what a loss takes instead of logits, or `None` if it is not known to do so."""
    if isinstance(loss, EmbeddingLoss):
        return "embeddings"
    is_divergence = loss is keras.losses.kl_divergence or isinstance(
        loss, keras.losses.KLDivergence
    )
    return "probabilities" if is_divergence or find_from_logits(loss) is False else None
