"""Distillation: the predictions of a teacher as further labels of the contrastive loss."""

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf._checks import check_choice, check_positive
from supcon_tf._keras_internals import producer
from supcon_tf.models.arguments import require_layer
from supcon_tf.models.cross_entropy_model import CrossEntropyModel
from supcon_tf.models.finite import nan_unless_finite
from supcon_tf.models.hyperparameter import Hyperparameter


def _require_weight(weight: Any) -> None:
    if weight != math.inf:
        check_positive("weight", weight)


@keras.saving.register_keras_serializable(package="supcon_tf")
class Distillation(keras.layers.Layer):
    r"""A teacher, and the term that its predictions add to the loss of a contrastive model.

    Let $z$ be the projections of the views, $y$ their labels, $t$ the logits of the teacher for the
    views, and $L$ the loss of the model, a `GeneralizedSupConLoss`. A model with `distillation=`
    minimizes

    $$L(z, y) + \lambda \, L(z, q), \qquad q = \mathrm{softmax}(t / T)$$

    with the `weight` $\lambda$ and the `temperature` $T$. For a teacher that returns probabilities
    $p$, the logits are $t = \log p$. The model logs the sum as `loss`, and $L(z, q)$ as
    `distillation_loss`.

    The teacher classifies the views after mixing. It runs in inference mode, in `fit` and in
    `evaluate`, and is saved with the model. `weight` and `temperature` can change during training.
    A change compiles the step of the model again.

    Reference: Kim et al., "Generalized Supervised Contrastive Learning", 2022
    (https://arxiv.org/abs/2206.00384).

    Examples:
        >>> import keras, numpy as np, supcon_tf
        >>> layers = [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
        >>> distillation = supcon_tf.Distillation(keras.Sequential(layers), temperature=2.0)
        >>> encoder = supcon_tf.encoders.resnet(10, stem="cifar", width=0.125)
        >>> model = supcon_tf.SupConModel(encoder, distillation=distillation)
        >>> model.compile("sgd", loss=supcon_tf.GeneralizedSupConLoss(temperature=0.1))
        >>> views = np.random.rand(4, 2, 32, 32, 3).astype("float32")
        >>> sorted(model.fit(views, np.eye(4), verbose=0).history)
        ['distillation_loss', 'loss']

    Args:
        teacher: a classifier, which this constructor freezes: its `trainable` becomes `False`. It
            takes images like the views and returns one output `[batch, classes]`, with the classes
            of the labels.
        weight: $\lambda$, above 0. With `float("inf")` the loss is $L(z, q)$ alone.
        temperature: $T$, above 0.
        from_logits: whether the teacher returns logits. `False` means probabilities. `"auto"`
            reads the activation of the teacher's last layer: softmax for probabilities, none for
            logits.
        name: name of the layer, and of its weights in a saved model.

    Call arguments:
        - `images`: `[batch, ...]`, as the teacher takes them. The output is the soft targets $q$,
          `[batch, classes]` float32.

    Raises:
        ValueError: if an argument is not as described, or `from_logits` is `"auto"` and the last
            activation is neither softmax nor none, or cannot be found; when called, if the output
            of the teacher is not `[batch, classes]`.
    """

    weight = Hyperparameter(_require_weight)
    temperature = Hyperparameter(functools.partial(check_positive, "temperature"))

    def __init__(
        self,
        teacher: keras.Model,
        *,
        weight: float = 1.0,
        temperature: float = 1.0,
        from_logits: bool | str = "auto",
        name: str | None = None,
        **kwargs: Any,
    ):
        require_layer("teacher", teacher)
        check_choice("from_logits", from_logits, (True, False, "auto"))
        # The teacher casts its inputs by its own dtype policy.
        super().__init__(name=name, autocast=False, **kwargs)
        self._models: weakref.WeakSet[keras.Model] = weakref.WeakSet()
        self.teacher = teacher
        self.weight = weight
        self.temperature = temperature
        self.from_logits = _returns_logits(teacher) if from_logits == "auto" else from_logits
        self.loss_tracker = keras.metrics.Mean("distillation_loss")
        self.trainable = True
        self.built = True

    @property
    def trainable(self) -> bool:
        """Always `False`. A model that is made trainable does not train its teacher."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # A teacher that was saved frozen loads as frozen, but its layers load as trainable. Keras
        # ignores an assignment that changes nothing, so the teacher becomes trainable first.
        self.teacher.trainable = True
        self.teacher.trainable = False

    @property
    def metrics(self) -> list[keras.Metric]:
        """The mean of the distillation loss, without the metrics of a compiled teacher."""
        return [self.loss_tracker]

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the soft targets `[batch, classes]` of images `[batch, ...]`.

        Raises:
            ValueError: if the teacher does not return one output of shape `[batch, classes]`.
        """
        outputs = self.teacher(images, training=False)
        if not tf.is_tensor(outputs) or outputs.shape.rank != 2 or outputs.shape[1] is None:
            raise ValueError(
                "`teacher` must be a classifier with one output of shape [batch, classes]. "
                f"Received: {tf.nest.map_structure(lambda x: x.shape, outputs)}"
            )
        outputs = tf.cast(outputs, tf.float32)
        logits = outputs if self.from_logits else tf.math.log(outputs)
        return tf.nn.softmax(logits / self.temperature)

    def _loss_terms(
        self,
        loss_of: Callable[[Any], tf.Tensor],
        labels: Any,
        soft_targets: Any,
        num_samples: tf.Tensor,
    ) -> list[tf.Tensor]:
        r"""Computes the terms of the loss and updates the metric.

        Args:
            loss_of: computes this replica's share of the loss from `labels` or `soft_targets`.
            labels: the labels.
            soft_targets: the soft targets, in the structure of `labels`.
            num_samples: the number of samples on this replica, which is 0 if an incomplete batch
                has none for it.

        Returns:
            The terms $L(z, y)$ and $\lambda L(z, q)$, or the second alone.
        """

        def loss_or_zero(targets: Any) -> tf.Tensor:
            loss = loss_of(targets)
            return tf.where(num_samples > 0, loss, tf.zeros_like(loss))

        # Images with NaN have soft targets with NaN, which the loss rejects as labels. The logged
        # loss of such images is NaN instead.
        finite = tf.nest.map_structure(
            lambda x: tf.where(tf.math.is_finite(x), x, 0.0), soft_targets
        )
        loss = loss_or_zero(finite)
        loss += tf.cast(nan_unless_finite(soft_targets), loss.dtype)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self.loss_tracker.update_state(loss * replicas, sample_weight=num_samples)
        if math.isinf(self.weight):
            return [loss]
        return [loss_or_zero(labels), self.weight * loss]

    def _attach(self, model: keras.Model) -> None:
        """Registers a model, whose steps depend on `weight` and `temperature`."""
        self._models.add(model)

    def _recompile(self) -> None:
        for model in self._models:
            model._recompile()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "weight": self.weight,
            "temperature": self.temperature,
            "from_logits": self.from_logits,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Distillation":
        """Creates a layer from the output of `get_config`."""
        teacher = keras.saving.deserialize_keras_object(config["teacher"])
        return cls(**{**config, "teacher": teacher})


def require_classes(labels: tf.Tensor, soft_targets: tf.Tensor) -> None:
    """Raises `ValueError` if labels are not distributions over the classes of the teacher."""
    if len(labels.shape) < 2 or labels.shape[-1] != soft_targets.shape[-1]:
        raise ValueError(
            "Labels must be distributions over the classes of `teacher`. Received: labels of shape "
            f"{labels.shape}, a teacher of {soft_targets.shape[-1]} classes"
        )


def _returns_logits(teacher: keras.Model) -> bool:
    """Returns whether a classifier returns logits, by the activation of its last layer.

    Raises:
        ValueError: if the activation is neither softmax nor none, or cannot be found.
    """
    if isinstance(teacher, CrossEntropyModel):
        return True
    activation = _last_activation(teacher)
    if activation not in (keras.activations.softmax, keras.activations.linear):
        raise ValueError(
            "`from_logits` must be True or False, because the last activation of `teacher` is "
            "neither softmax nor linear. Received: from_logits='auto', a last activation "
            f"{getattr(activation, '__name__', activation)} of the teacher {teacher.name}"
        )
    return activation is keras.activations.linear


def _last_activation(model: keras.Model) -> Any:
    """Returns the activation function of a model's output, `None` if it cannot be found."""
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1:
        return None
    output = outputs[0]
    while True:
        layer, inputs = producer(output)
        if isinstance(layer, keras.Model):
            return _last_activation(layer)
        if isinstance(layer, keras.layers.Softmax):
            return keras.activations.softmax
        activation = getattr(layer, "activation", None)
        is_cast = isinstance(layer, keras.layers.Activation)
        if not is_cast or activation is not keras.activations.linear:
            return activation
        # A linear Activation layer only casts, to float32 in a model of half precision.
        output = inputs[0]
