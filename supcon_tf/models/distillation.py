"""What a teacher says about images, as label distributions."""

from typing import Any

import keras
import tensorflow as tf

from supcon_tf._keras_internals import producer
from supcon_tf.models.cross_entropy_model import CrossEntropyModel

GIVES = ("auto", "logits", "probabilities")


def resolve_output(teacher: keras.Model, declared: str) -> str:
    """Tells whether a classifier gives logits or probabilities.

    Args:
        teacher: the classifier.
        declared: `"logits"` or `"probabilities"`, which are taken as true, or `"auto"` to look at
            the activation that its output comes from: softmax, or none at all. The classifiers of
            this library give logits.

    Returns:
        `"logits"` or `"probabilities"`.

    Raises:
        ValueError: for `"auto"`, if the activation is another one or cannot be found.
    """
    if declared != "auto":
        return declared
    if isinstance(teacher, CrossEntropyModel):
        return "logits"
    activation = _last_activation(teacher)
    if activation is keras.activations.softmax:
        return "probabilities"
    if activation is keras.activations.linear:
        return "logits"
    raise ValueError(
        "`teacher_gives` must be 'logits' or 'probabilities' where the last layer of `teacher` "
        "does not tell, by a softmax activation or none. Received: teacher_gives='auto', a last "
        f"activation {getattr(activation, '__name__', activation)} of the teacher {teacher.name}"
    )


def freeze(teacher: keras.Model) -> None:
    """Makes a teacher, all its layers included, not trainable."""
    # What was saved frozen says so when loaded, but its layers do not, and Keras ignores an
    # assignment that changes nothing.
    teacher.trainable = True
    teacher.trainable = False


def label_distributions_of(
    teacher: keras.Model, images: tf.Tensor, gives: str, temperature: float
) -> tf.Tensor:
    r"""Asks a teacher, as in inference.

    Args:
        teacher: classifies images.
        images: `[batch, height, width, channels]`.
        gives: `"logits"` or `"probabilities"`.
        temperature: T of $\mathrm{softmax}(\mathrm{logits} / T)$, which for probabilities p is
            $\mathrm{softmax}(\log p / T)$.

    Returns:
        `[batch, classes]` float32 probabilities.

    Raises:
        ValueError: if the teacher's output is not `[batch, classes]`.
    """
    outputs = teacher(images, training=False)
    if not tf.is_tensor(outputs) or outputs.shape.rank != 2 or outputs.shape[1] is None:
        raise ValueError(
            "`teacher` must classify: give one output of shape [batch, classes]. Received: "
            f"{tf.nest.map_structure(lambda x: x.shape, outputs)}"
        )
    outputs = tf.cast(outputs, tf.float32)
    logits = outputs if gives == "logits" else tf.math.log(outputs)
    return tf.nn.softmax(logits / temperature)


def _last_activation(model: keras.Model) -> Any:
    """Returns the function that made a model's output, `None` if that is not known."""
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
        # Alone it only casts: to float32, where a model computes in half precision.
        output = inputs[0]
