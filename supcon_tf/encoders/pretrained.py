"""Encoders from pretrained backbones."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from supcon_tf._checks import check_choice
from supcon_tf.encoders.pixels import Pixels

# Pooling layers by the argument `pooling` and the rank of the backbone's output.
_POOLINGS = {
    ("avg", 3): layers.GlobalAveragePooling1D,
    ("avg", 4): layers.GlobalAveragePooling2D,
    ("max", 3): layers.GlobalMaxPooling1D,
    ("max", 4): layers.GlobalMaxPooling2D,
}


def pretrained(
    backbone: keras.Model,
    preprocessing: Callable[[Any], Any] | None,
    *,
    pooling: str = "avg",
    name: str | None = None,
) -> keras.Model:
    """Builds an encoder of images in [0, 1] from a backbone and the preprocessing that it needs.

    Every backbone expects pixels in the range, and with the order of the channels, of its own
    training. This encoder converts images in [0, 1], which the pipelines of this library create.
    The backbone is a layer of the encoder and shares its weights with it: `backbone.trainable =
    False` freezes it.

    Examples:
        >>> import keras, supcon_tf
        >>> backbone = keras.applications.MobileNetV2(
        ...     input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None
        ... )
        >>> encoder = supcon_tf.encoders.pretrained(
        ...     backbone, keras.applications.mobilenet_v2.preprocess_input
        ... )
        >>> encoder.input_shape, encoder.output_shape
        ((None, 32, 32, 3), (None, 1280))

    Args:
        backbone: a model with one input `[batch, height, width, channels]` and one output `[batch,
            dim]`, `[batch, tokens, dim]` or `[batch, height, width, dim]`. Build a model of
            `keras.applications` with `include_top=False`.
        preprocessing: what converts images from 0 to 255 to the inputs of the backbone: the
            function `preprocess_input` of its module in `keras.applications`, the image converter
            of its preset in KerasHub, or another Keras layer. A function must scale and shift each
            channel separately; it can reorder channels. `None` if the backbone takes images from 0
            to 255.
        pooling: `"avg"` or `"max"`, the pooling of outputs that are not `[batch, dim]`.
        name: name of the model; `"pretrained"` and the name of the backbone by default.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 1] to representations `[batch,
        dim]`. It loads with `import supcon_tf`, and with `import keras_hub` for a backbone of
        KerasHub. The models of this library raise an error for images of other ranges.

    Raises:
        ValueError: if an argument is not as described.
    """
    check_choice("pooling", pooling, ("avg", "max"))
    shape = _image_shape(backbone)
    images = layers.Input(shape, name="images")
    # In float32, since half precision would round the pixels.
    x = Pixels(standardized=False, dtype="float32", name="pixels")(images)
    if preprocessing is None or isinstance(preprocessing, layers.Layer):
        x = layers.Rescaling(255.0, dtype="float32", name="from_0_to_255")(x)
        if preprocessing is not None:
            x = preprocessing(x)
    else:
        order, scale, offset = _measure(preprocessing, shape[-1])
        x = ScaledChannels(order, scale, offset, dtype="float32", name="preprocessing")(x)
    features = backbone(x)
    rank = len(getattr(features, "shape", ()))
    if rank not in (2, 3, 4):
        raise ValueError(
            "`backbone` must return one tensor [batch, dim], [batch, tokens, dim] or [batch, "
            f"height, width, dim]. Received: {features}"
        )
    if rank > 2:
        features = _POOLINGS[pooling, rank](name="pooling")(features)
    return keras.Model(images, features, name=name or f"pretrained_{backbone.name}")


def _image_shape(backbone: keras.Model) -> Any:
    """Returns the shape of the images that a backbone takes."""
    inputs: Any = getattr(backbone, "inputs", None)
    shape = tuple(inputs[0].shape) if inputs and len(inputs) == 1 else ()
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            "`backbone` must be a functional or Sequential model with one input [batch, height, "
            f"width, channels]. Received: {backbone}"
        )
    return shape[1:]


def _measure(
    function: Callable[[Any], Any], channels: int
) -> tuple[list[int], list[float], list[float]]:
    """Returns the order of the channels, and their scale and offset for images in [0, 1].

    Raises:
        ValueError: if the function does anything else.
    """

    def apply(pixels: Any) -> Any:
        # Functions of `keras.applications` change arrays in place.
        image = np.array(pixels, np.float32).reshape(-1, 1, 1, channels)
        return ops.convert_to_numpy(function(image)).reshape(-1, channels)

    offset = apply(np.zeros([1, channels]))[0]
    slopes = apply(255 * np.eye(channels)) - offset
    order = np.abs(slopes).argmax(axis=0)
    scale = slopes[order, np.arange(channels)]
    samples = np.random.default_rng(0).uniform(0, 1, [100, channels])
    actual, expected = apply(255 * samples), samples[:, order] * scale + offset
    if not np.allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(scale).max()):
        raise ValueError(
            "`preprocessing` must scale and shift each channel separately, such as "
            "`keras.applications.resnet50.preprocess_input`. Use a Keras layer for anything else. "
            f"Received: {function}, which does not"
        )
    return order.tolist(), scale.tolist(), offset.tolist()


@keras.saving.register_keras_serializable(package="supcon_tf")
class ScaledChannels(layers.Layer):
    """Reorders, scales and shifts the channels of images.

    Args:
        order: the input channel of each output channel.
        scale: the factor of each output channel.
        offset: the offset of each output channel.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        order: Sequence[int],
        scale: Sequence[float],
        offset: Sequence[float],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # Tuples, because Keras replaces lists by its own ones.
        self.order, self.scale, self.offset = tuple(order), tuple(scale), tuple(offset)

    def call(self, images: Any) -> Any:
        """Converts images `[batch, height, width, channels]`."""
        return ops.take(images, self.order, axis=-1) * self.scale + self.offset

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "order": self.order,
            "scale": self.scale,
            "offset": self.offset,
        }
