"""Inputs of an encoder, one array or a structure of arrays, with or without an axis of views.

For an encoder with a single input, views can have several sizes (multi-crop): a tuple or list with
an array `[batch, views, ...]` for each size.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def symbolic_inputs(encoder: keras.Model) -> Any:
    """Returns the symbolic inputs of an encoder, in the structure that it takes."""
    if isinstance(encoder, keras.Sequential):
        return encoder.inputs[0]
    if not hasattr(encoder, "inputs"):  # a subclass of keras.Model that defines its shapes
        return keras.KerasTensor(encoder.input_shape, encoder.input_dtype)
    inputs = encoder.input
    return inputs[0] if isinstance(inputs, (list, tuple)) and len(inputs) == 1 else inputs


def map_arrays(function: Callable[..., Any], *structures: Any) -> Any:
    """Applies a function to the arrays of structures of the same form. `None` stays `None`."""
    return tf.nest.map_structure(lambda *x: None if x[0] is None else function(*x), *structures)


def first_array(structure: Any) -> Any:
    """Returns the first array of a structure, which has the batch size and the number of views."""
    return next(x for x in tf.nest.flatten(structure) if x is not None)


def is_multi_crop(images: Any, encoder: keras.Model) -> bool:
    """Returns whether images are arrays of views of several sizes, for an encoder of one input."""
    inputs = symbolic_inputs(encoder)
    return (
        isinstance(images, (list, tuple))
        and len(images) > 1
        and not tf.nest.is_nested(inputs)
        and all(
            hasattr(x, "shape") and tf.TensorShape(x.shape).rank == len(inputs.shape) + 1
            for x in images
        )
    )


def has_views(images: Any, encoder: keras.Model) -> bool:
    """Returns whether images are views `[batch, views, ...]` and not single inputs `[batch, ...]`.

    Args:
        images: an array or a structure of arrays, or arrays of views of several sizes.
        encoder: the encoder, whose inputs have the rank of `[batch, ...]`.

    Raises:
        ValueError: if `images` have neither rank, or not the structure of the encoder's inputs.
    """
    if is_multi_crop(images, encoder):
        return True
    pairs = _pair_with_inputs(images, symbolic_inputs(encoder))
    extra_axes = {_extra_axes(x, expected) for x, expected in pairs}
    if extra_axes not in ({0}, {1}):
        given = " and ".join(f"shape={x.shape}" for x, _ in pairs)
        shapes = " and ".join(str(tuple(expected.shape)) for _, expected in pairs)
        raise ValueError(
            "`images` must be [batch, ...] as the encoder takes them, or [batch, views, ...], with "
            f"all of its inputs alike. Received: {given} for an encoder of {shapes}"
        )
    return extra_axes == {1}


def compute_rows(
    function: Callable[[Any], tf.Tensor], images: Any, encoder: keras.Model
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Applies a function of single inputs to every view, in one call for each size of views.

    Args:
        function: maps inputs of the encoder `[rows, ...]` to outputs `[rows, ...]`.
        images: an array or a structure of arrays, with or without views, or arrays of views of
            several sizes.
        encoder: the encoder.

    Returns:
        The outputs `[batch * views, ...]`, with those of a sample side by side, and a function that
        reshapes them, or what is computed from them, to `[batch, views, ...]`. The views of several
        sizes are in the order of the arrays. Outputs of images without views keep their shape.

    Raises:
        ValueError: as in `has_views`, or if the number of views is not static, or differs between
            inputs, or the encoder does not accept one of several sizes.
    """
    if not is_multi_crop(images, encoder):
        flat, restore = _flatten_views(images, encoder)
        return function(flat), restore
    _require_accepted_sizes(images, encoder)
    outputs = []
    for views in images:
        flat, restore = _flatten_views(views, encoder)
        outputs.append(restore(function(flat)))
    joined = tf.concat(outputs, axis=1)
    _, num_views, *rest = joined.shape
    return (
        tf.reshape(joined, [-1, *rest]),
        lambda rows: tf.reshape(rows, [-1, num_views, *rows.shape[1:]]),
    )


def _flatten_views(
    images: Any, encoder: keras.Model
) -> tuple[Any, Callable[[tf.Tensor], tf.Tensor]]:
    """Reshapes `[batch, views, ...]` to `[batch * views, ...]`.

    Args:
        images: an array or a structure of arrays, with or without views.
        encoder: the encoder.

    Returns:
        The inputs of the encoder, and a function that reshapes its outputs to `[batch, views,
        ...]`. Images without views and their outputs keep their shape.

    Raises:
        ValueError: as in `has_views`, or if the number of views is not static, or differs between
            inputs.
    """
    if not has_views(images, encoder):
        return images, lambda outputs: outputs
    images = _select_inputs(images, symbolic_inputs(encoder))
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


def _require_accepted_sizes(images: Any, encoder: keras.Model) -> None:
    """Raises `ValueError` if the input of the encoder does not have one of the sizes of views."""
    shape = symbolic_inputs(encoder).shape
    if not all(tf.TensorShape(shape[1:]).is_compatible_with(views.shape[2:]) for views in images):
        raise ValueError(
            "The encoder must accept all sizes of views: create it with `None` as the height and "
            "width of its input, such as `input_shape=(None, None, 3)`. Received: views of "
            f"{' and '.join(str(tuple(views.shape)) for views in images)} for an encoder of "
            f"{tuple(shape)}"
        )


def with_leading_axes(x: tf.Tensor, count: int, sizes: list[int]) -> tf.Tensor:
    """Reshapes the leading axes of a tensor. The other axes keep their static sizes.

    Args:
        x: a tensor of known rank.
        count: the number of axes to replace.
        sizes: the sizes of the new axes, one of which can be -1.
    """
    rest = x.shape[count:]
    if None not in rest:
        return tf.reshape(x, [*sizes, *rest])
    reshaped = tf.reshape(x, tf.concat([sizes, tf.shape(x)[count:]], axis=0))
    return tf.ensure_shape(reshaped, [*(None if size == -1 else size for size in sizes), *rest])


def _inputs_by_name(inputs: Any) -> dict[str, keras.KerasTensor]:
    """Returns the symbolic inputs of an encoder by their names."""
    return inputs if isinstance(inputs, dict) else {x.name: x for x in tf.nest.flatten(inputs)}


def _select_inputs(images: Any, inputs: Any) -> Any:
    """Drops the entries of a dict that are not inputs of the encoder, as Keras does."""
    if isinstance(images, dict):
        return {name: images[name] for name in _inputs_by_name(inputs)}
    return images


def _pair_with_inputs(images: Any, inputs: Any) -> list[tuple[Any, keras.KerasTensor]]:
    """Pairs the arrays with the symbolic inputs of an encoder, in a dict by name."""
    expected = tf.nest.flatten(inputs)
    if isinstance(images, dict):
        named = _inputs_by_name(inputs)
        if named.keys() <= images.keys():
            return [(images[name], x) for name, x in named.items() if images[name] is not None]
    elif len(tf.nest.flatten(images)) == len(expected):
        pairs = zip(tf.nest.flatten(images), expected, strict=True)
        return [(x, symbol) for x, symbol in pairs if x is not None]
    if isinstance(images, dict) and not tf.nest.is_nested(inputs):
        advice = (
            "be one array: map the dicts of a dataset to `(images, labels)`, or load a data set of "
            "TensorFlow Datasets with `as_supervised=True`"
        )
    elif tf.nest.is_nested(inputs):
        advice = (
            "have the structure of the encoder's inputs, either all with or all without an axis of "
            "views"
        )
    else:
        advice = (
            "be one array: stack the views of a sample with `tf.stack(views, axis=1)`. Views of "
            "several sizes must be one array [batch, views, ...] for each size"
        )
    raise ValueError(
        f"`images` must {advice}. Received: a {type(images).__name__} of {len(images)} for "
        f"{tf.nest.map_structure(lambda x: x.name, inputs)}"
    )


def _extra_axes(x: Any, expected: keras.KerasTensor) -> int:
    """Returns how many more axes an array has than expected.

    Raises:
        ValueError: if the rank of the array is unknown.
    """
    rank = tf.TensorShape(x.shape).rank
    if rank is None:
        raise ValueError(
            "The rank of `images` must be known statically: use `tf.ensure_shape` in the data "
            f"pipeline. Received: shape={x.shape} for an encoder of {tuple(expected.shape)}"
        )
    return rank - len(expected.shape)
