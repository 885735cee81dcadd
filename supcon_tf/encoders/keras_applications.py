"""Networks of `keras.applications` as encoders of standardized images."""

from collections.abc import Callable
from typing import Any

import keras

from supcon_tf._checks import check_choice
from supcon_tf.encoders.pixels import Pixels

_SIDES = {"imagenet": 224, "cifar": 32}


def build_application(
    build: Callable[..., keras.Model], *, stem: str, input_shape: tuple[int, int, int] | None
) -> keras.Model:
    """Builds a network with random weights, without its top and its preprocessing.

    Args:
        build: a function of `keras.applications`.
        stem: `"imagenet"` or `"cifar"`, which determines the default size of the images.
        input_shape: `(height, width, channels)`, or `None` for the default size and three channels.

    Raises:
        ValueError: if `stem` has another value, or the network cannot take `input_shape`.
    """
    check_choice("stem", stem, tuple(_SIDES))
    input_shape = input_shape or (_SIDES[stem], _SIDES[stem], 3)
    images = keras.Input(input_shape, name="images")
    return build(
        include_top=False,
        weights=None,
        input_shape=input_shape,
        input_tensor=Pixels(name="pixels")(images),
        pooling="avg",
        include_preprocessing=False,
    )


def replace_layers(
    model: keras.Model, replace: Callable[[keras.Layer], keras.Layer | None]
) -> keras.Model:
    """Builds a model with new weights, in which some layers are others.

    Args:
        model: a functional model.
        replace: maps a layer to the layer that takes its place, or to `None` for one like it.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.Sequential):  # without the shapes, which another stem changes
            return keras.Sequential([clone(each) for each in layer.layers], name=layer.name)
        return replace(layer) or change_layer(layer)

    return keras.models.clone_model(model, clone_function=clone)


def change_layer(layer: keras.Layer, **arguments: Any) -> keras.Layer:
    """Returns a new layer with other values of some constructor arguments, and new weights."""
    return type(layer).from_config({**layer.get_config(), **arguments})
