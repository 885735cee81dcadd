"""What an encoder takes, one array or a structure of them, with or without an axis of views."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.models.arguments import symbolic_inputs


def map_arrays(function: Callable[..., Any], *structures: Any) -> Any:
    """Applies a function to every array of structures that are alike; absent inputs stay absent."""
    return tf.nest.map_structure(lambda *x: None if x[0] is None else function(*x), *structures)


def first_array(structure: Any) -> Any:
    """Returns one array of a structure, to know the size of the batch and the number of views."""
    return next(x for x in tf.nest.flatten(structure) if x is not None)


def has_views(images: Any, encoder: keras.Model) -> bool:
    """Tells views `[batch, views, ...]` from images `[batch, ...]` as the encoder takes them.

    Args:
        images: an array or a structure of arrays.
        encoder: the encoder.

    Raises:
        ValueError: if `images` are neither, or not in the structure of the encoder's inputs.
    """
    pairs = _with_inputs(images, symbolic_inputs(encoder))
    axes = {_axes_more(x, expected) for x, expected in pairs}
    if axes not in ({0}, {1}):
        given = " and ".join(f"shape={x.shape}" for x, _ in pairs)
        shapes = " and ".join(str(tuple(expected.shape)) for _, expected in pairs)
        raise ValueError(
            "`images` must be [batch, ...] as the encoder takes them, or [batch, views, ...], all "
            f"of its inputs alike. Received: {given} for an encoder of {shapes}"
        )
    return axes == {1}


def flatten_views(
    images: Any, encoder: keras.Model
) -> tuple[Any, Callable[[tf.Tensor], tf.Tensor]]:
    """Makes `[batch * views, ...]` of `[batch, views, ...]`.

    Args:
        images: an array or a structure of arrays, with or without views.
        encoder: the encoder.

    Returns:
        What the encoder takes, and a function that gives its outputs the axis of views again.

    Raises:
        ValueError: as `has_views`, or if the number of views is not static or not the same.
    """
    if not has_views(images, encoder):
        return images, lambda outputs: outputs
    images = _without_others(images, symbolic_inputs(encoder))
    numbers = {x.shape[1] for x in tf.nest.flatten(images) if x is not None}
    if len(numbers) > 1 or None in numbers:
        raise ValueError(
            "The number of views must be known statically, and be the same for all inputs. "
            f"Received: {map_arrays(lambda x: x.shape, images)}"
        )
    (views,) = numbers
    rows = first_array(images).shape[0]
    flat = [-1 if rows is None else rows * views]
    return (
        map_arrays(lambda x: with_leading_axes(x, 2, flat), images),
        lambda outputs: tf.reshape(outputs, [-1, views, *outputs.shape[1:]]),
    )


def with_leading_axes(x: tf.Tensor, old: int, new: list[int]) -> tf.Tensor:
    """Replaces the first axes of a tensor, whatever is known about the sizes of the others.

    Args:
        x: a tensor of known rank.
        old: how many axes to replace.
        new: the sizes of the new ones, one of which may be -1.
    """
    rest = x.shape[old:]
    if None not in rest:
        return tf.reshape(x, [*new, *rest])
    reshaped = tf.reshape(x, tf.concat([new, tf.shape(x)[old:]], axis=0))
    return tf.ensure_shape(reshaped, [*(None if size == -1 else size for size in new), *rest])


def _named(inputs: Any) -> dict[str, keras.KerasTensor]:
    """Returns the symbolic inputs of an encoder by their names."""
    return inputs if isinstance(inputs, dict) else {x.name: x for x in tf.nest.flatten(inputs)}


def _without_others(images: Any, inputs: Any) -> Any:
    """Leaves out what has a name that no input has, as Keras does."""
    return {name: images[name] for name in _named(inputs)} if isinstance(images, dict) else images


def _with_inputs(images: Any, inputs: Any) -> list[tuple[Any, keras.KerasTensor]]:
    """Pairs the arrays with the symbolic inputs of an encoder, by name if they have names."""
    expected = tf.nest.flatten(inputs)
    if isinstance(images, dict):
        named = _named(inputs)
        if named.keys() <= images.keys():
            return [(images[name], x) for name, x in named.items() if images[name] is not None]
    elif len(tf.nest.flatten(images)) == len(expected):
        pairs = zip(tf.nest.flatten(images), expected, strict=True)
        return [(x, symbol) for x, symbol in pairs if x is not None]
    if tf.nest.is_nested(inputs):
        advice = (
            "have the structure of the encoder's inputs, each with the axis of views or without"
        )
    else:
        advice = "be one array: put the views of a sample together by `tf.stack(views, axis=1)`"
    raise ValueError(
        f"`images` must {advice}. Received: a {type(images).__name__} of {len(images)} for "
        f"{tf.nest.map_structure(lambda x: x.name, inputs)}"
    )


def _axes_more(x: Any, expected: keras.KerasTensor) -> int:
    """Returns how many axes more than expected an array has.

    Raises:
        ValueError: if that is unknown.
    """
    rank = tf.TensorShape(x.shape).rank
    if rank is None:
        raise ValueError(
            "The rank of `images` must be known statically: use `tf.ensure_shape` in the data "
            f"pipeline. Received: shape={x.shape} for an encoder of {tuple(expected.shape)}"
        )
    return rank - len(expected.shape)
