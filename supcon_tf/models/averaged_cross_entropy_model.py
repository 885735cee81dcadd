"""A classifier with an exponential moving average of its weights."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.arguments import require_momentum
from supcon_tf.models.cross_entropy_model import CrossEntropyModel
from supcon_tf.models.ema import clone, update_ema
from supcon_tf.models.hyperparameter import Hyperparameter


@keras.saving.register_keras_serializable(package="supcon_tf")
class AveragedCrossEntropyModel(CrossEntropyModel):
    r"""A cross-entropy model that predicts with an exponential moving average of its weights.

    After step $t = 1, 2, \dots$ all weights of the average, the moving statistics of batch
    normalization included, become

    $$\bar\theta \leftarrow m_t \bar\theta + (1 - m_t) \theta, \qquad
        m_t = \min\Big(m, \frac{1 + t}{10 + t}\Big)$$

    The smaller momentum of the first steps lets the average forget the initial weights quickly.
    `fit` trains $\theta$. `evaluate`, `predict` and calls with `training=False` use $\bar\theta$.
    `average` is a model that can be saved on its own or used as a teacher.

    Reference: Tarvainen and Valpola, "Mean teachers are better role models", 2017, for classifiers
    averaged over steps (https://arxiv.org/abs/1703.01780). The names of the checkpoints of Kim et
    al., 2022, show that their teachers were averaged and trained with Mixup and CutMix.

    Examples:
        >>> import keras, numpy as np, supcon_tf
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.AveragedCrossEntropyModel(encoder, num_classes=10)
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("sgd", loss=loss)
        >>> images = np.random.rand(4, 32, 32, 3).astype("float32")
        >>> history = model.fit(images, np.arange(4), verbose=0)
        >>> bool(np.allclose(model.predict(images, verbose=0), model.average(images), atol=1e-5))
        True

    Args:
        encoder: a built model from images to representations `[batch, dim]`.
        num_classes: number of classes, at least 2.
        class_names: as in `CrossEntropyModel`.
        momentum: the momentum m of the average, at least 0 and below 1.
        name: name of the model.

    Attributes:
        average: a `CrossEntropyModel` with the averaged weights.

    Raises:
        ValueError: as in `CrossEntropyModel`, or if `momentum` is out of range.
    """

    momentum = Hyperparameter(require_momentum)

    def __init__(
        self,
        encoder: keras.Model,
        num_classes: int,
        *,
        class_names: Sequence[str] | None = None,
        momentum: float = 0.999,
        name: str | None = None,
        **kwargs: Any,
    ):
        require_momentum(momentum)
        super().__init__(encoder, num_classes, class_names=class_names, name=name, **kwargs)
        self.momentum = momentum
        self.average = CrossEntropyModel(
            clone(encoder, self.inputs), num_classes, class_names=class_names
        )
        self.average.head.set_weights(self.head.get_weights())
        self._freeze_parts()

    def _freeze_parts(self) -> None:
        for weight in self.average.weights:
            weight.trainable = False

    def train_step(self, data: Any) -> dict[str, Any]:
        """Trains on one batch and updates the average."""
        logs = super().train_step(data)
        step = tf.cast(self.optimizer.iterations.value, tf.float32)
        momentum = tf.minimum(self.momentum, (1 + step) / (10 + step))
        for trained, average in (
            (self.encoder, self.average.encoder),
            (self.head, self.average.head),
        ):
            update_ema(list(zip(trained.weights, average.weights, strict=True)), momentum)
        return logs

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the logits `[batch, num_classes]` of images `[batch, ...]`."""
        if training:
            return super().call(images, training=True)
        return self.average(images, training=False)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {**super().get_config(), "momentum": self.momentum}
