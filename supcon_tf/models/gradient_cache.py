"""Gradient caching: the loss of a large batch in the memory that a small one needs."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.distribution.replicas import replica_context
from supcon_tf.models.views import first_array, map_arrays, with_leading_axes


def project_in_micro_batches(
    model: keras.Model, views: Any, micro_batch_size: int
) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
    """Projects a batch piece by piece, without keeping activations.

    Reference: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited
    Setup", 2021 (https://arxiv.org/abs/2101.06983).

    Args:
        model: a `SupConModel`, which maps views to projections.
        views: `[batch, ...]`, of a static size, or a structure of such arrays.
        micro_batch_size: how many of the batch make a piece; it must divide the batch.

    Returns:
        The projections of the batch, and a function that turns the gradient with respect to them
        into the gradients with respect to the model's trainable variables. It projects every piece
        once more, with the same random numbers, and updates moving statistics.

    Raises:
        ValueError: if the batch size is not static, the pieces do not divide it, or a layer adds a
            loss of its activations.
    """
    pieces = _cut(views, micro_batch_size)
    layers = model.encoder, model.projection_head
    state = [variable for layer in layers for variable in layer.non_trainable_variables]
    before = [tf.identity(variable.value) for variable in state]
    projections = _map_in_turn(lambda piece: _project(model, piece), pieces)
    with tf.control_dependencies([projections]):
        for variable, value in zip(state, before, strict=True):
            variable.assign(value)

    def pull_back(upstream: tf.Tensor) -> list[tf.Tensor]:
        variables = model.trainable_variables
        if not variables:
            return []

        def add(
            gradients: list[tf.Tensor], piece_and_upstream: tuple[Any, tf.Tensor]
        ) -> list[tf.Tensor]:
            piece, its_upstream = piece_and_upstream
            with tf.GradientTape() as tape:
                again = model(piece, training=True)
            new = tape.gradient(again, variables, its_upstream)
            return [x if y is None else x + y for x, y in zip(gradients, new, strict=True)]

        upstreams = tf.reshape(upstream, projections.shape)
        zeros = [tf.zeros_like(variable.value) for variable in variables]
        return _fold_in_turn(add, (pieces, upstreams), zeros)

    return _join(projections), pull_back


def _project(model: keras.Model, piece: Any) -> tf.Tensor:
    projections = model(piece, training=True)
    of_weights = sum(weight.regularizer is not None for weight in model.trainable_weights)
    if len(model.losses) > of_weights:
        raise ValueError(
            "`micro_batch_size` must be None where layers add losses of their activations, by "
            "`add_loss` or an activity regularizer. Received: "
            f"micro_batch_size={model.micro_batch_size}, {len(model.losses) - of_weights} of them"
        )
    return projections


def map_micro_batches(
    function: Callable[[Any], tf.Tensor], batch: Any, micro_batch_size: int
) -> tf.Tensor:
    """Applies a function that needs no gradient to a batch piece by piece.

    Args:
        function: maps a piece to as many rows of float32 numbers.
        batch: `[batch, ...]`, of a static size, or a structure of such arrays.
        micro_batch_size: how many of the batch make a piece; it must divide the batch.

    Returns:
        `[batch, ...]` results.

    Raises:
        ValueError: as `project_in_micro_batches`.
    """
    return _join(_map_in_turn(function, _cut(batch, micro_batch_size)))


def _cut(batch: Any, micro_batch_size: int) -> Any:
    """Makes `[pieces, micro_batch_size, ...]` of `[batch, ...]`."""
    shape = first_array(batch).shape
    rows = shape[0]
    if rows is None or rows % micro_batch_size:
        raise ValueError(
            "`micro_batch_size` must divide the batch size, which must be static: use "
            "`dataset.batch(size, drop_remainder=True)`. Received: "
            f"micro_batch_size={micro_batch_size}, a batch of shape {shape} on each replica"
        )
    pieces = [rows // micro_batch_size, micro_batch_size]
    return map_arrays(lambda x: with_leading_axes(x, 1, pieces), batch)


def _join(pieces: tf.Tensor) -> tf.Tensor:
    """Undoes `_cut`."""
    return tf.reshape(pieces, [pieces.shape[0] * pieces.shape[1], *pieces.shape[2:]])


# Within one of several replicas variables cannot be written inside a loop of the graph, so that the
# pieces become a part of the graph each.


def _map_in_turn(function: Callable[[Any], tf.Tensor], pieces: Any) -> tf.Tensor:
    """Stacks the function's results for each piece, computed one after the other."""
    if replica_context() is None:
        return tf.map_fn(function, pieces, parallel_iterations=1, fn_output_signature=tf.float32)
    results: list[tf.Tensor] = []
    for piece in _unstacked(pieces):
        results.append(function(_after(results, piece)))
    return tf.stack(results)


def _fold_in_turn(
    function: Callable[[list[tf.Tensor], tuple[Any, ...]], list[tf.Tensor]],
    pieces: tuple[Any, ...],
    state: list[tf.Tensor],
) -> list[tf.Tensor]:
    """Carries a state through the pieces, one after the other."""
    if replica_context() is None:
        return tf.foldl(function, pieces, state, parallel_iterations=1)
    for parts in _unstacked(pieces):
        state = function(state, _after([*state, first_array(parts[-1])], parts))
    return state


def _unstacked(pieces: Any) -> list[Any]:
    """Returns the pieces one by one."""
    return [map_arrays(lambda x, i=i: x[i], pieces) for i in range(first_array(pieces).shape[0])]


def _after(tensors: list[tf.Tensor], piece: Any) -> Any:
    """Returns a piece that comes to be only after the tensors have."""
    with tf.control_dependencies(tensors):
        return map_arrays(tf.identity, piece)
