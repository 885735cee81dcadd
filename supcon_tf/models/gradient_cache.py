"""Gradients of a loss of projections, of the whole batch or in micro-batches (gradient caching)."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from supcon_tf.distribution.replicas import replica_context
from supcon_tf.models.views import first_array, map_arrays, with_leading_axes


def differentiate(
    model: keras.Model,
    views: Any,
    loss_of: Callable[[tf.Tensor], tf.Tensor],
    micro_batch_size: int | None,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Projects views, and differentiates a loss of the projections with respect to the weights.

    Args:
        model: a compiled model from views to projections.
        views: `[batch, ...]`, or a structure of such arrays.
        loss_of: computes the loss from the projections.
        micro_batch_size: the number of samples to project at a time, or `None` for all.

    Returns:
        The projections, the loss, and the gradients with respect to `model.trainable_variables`.
        The gradients are those of the loss as the optimizer scales it.

    Raises:
        ValueError: as in `project_in_micro_batches`.
    """
    if micro_batch_size is None:
        with tf.GradientTape() as tape:
            projections = model(views, training=True)
            loss = loss_of(projections)
            scaled_loss = model.optimizer.scale_loss(loss)
        return projections, loss, tape.gradient(scaled_loss, model.trainable_variables)
    projections, pull_back = project_in_micro_batches(model, views, micro_batch_size)
    with tf.GradientTape() as tape:
        tape.watch(projections)
        loss = loss_of(projections)
        scaled_loss = model.optimizer.scale_loss(loss)
    # The loss also depends on weights directly, through their regularizers.
    upstream, direct = tape.gradient(scaled_loss, (projections, model.trainable_variables))
    gradients = [
        x if y is None else x + y for x, y in zip(pull_back(upstream), direct, strict=True)
    ]
    return projections, loss, gradients


def project_in_micro_batches(
    model: keras.Model, views: Any, micro_batch_size: int
) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
    """Projects a batch one micro-batch at a time, without storing activations.

    Reference: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited
    Setup", 2021 (https://arxiv.org/abs/2101.06983).

    Args:
        model: a model from views to projections, with an `encoder` and a `projection_head`.
        views: `[batch, ...]`, of a static size, or a structure of such arrays.
        micro_batch_size: the number of samples in a micro-batch, a divisor of the batch size.

    Returns:
        The projections of the batch, and a function from the gradient with respect to them to the
        gradients with respect to `model.trainable_variables`. The function projects every
        micro-batch again, with the same random numbers, and updates moving statistics.

    Raises:
        ValueError: if the batch size is not static or `micro_batch_size` does not divide it, or if
            a layer adds a loss of its activations.
    """
    micro_batches = _split(views, micro_batch_size)
    layers = model.encoder, model.projection_head
    state = [variable for layer in layers for variable in layer.non_trainable_variables]
    before = [tf.identity(variable.value) for variable in state]
    projections = _map_sequentially(lambda x: _project(model, x), micro_batches)
    with tf.control_dependencies([projections]):
        for variable, value in zip(state, before, strict=True):
            variable.assign(value)

    def pull_back(upstream: tf.Tensor) -> list[tf.Tensor]:
        variables = model.trainable_variables
        if not variables:
            return []

        def accumulate(
            gradients: list[tf.Tensor], micro_batch_and_upstream: tuple[Any, tf.Tensor]
        ) -> list[tf.Tensor]:
            micro_batch, its_upstream = micro_batch_and_upstream
            with tf.GradientTape() as tape:
                projections = model(micro_batch, training=True)
            new = tape.gradient(projections, variables, its_upstream)
            return [x if y is None else x + y for x, y in zip(gradients, new, strict=True)]

        upstreams = tf.reshape(upstream, projections.shape)
        zeros = [tf.zeros_like(variable.value) for variable in variables]
        return _fold_sequentially(accumulate, (micro_batches, upstreams), zeros)

    return _join(projections), pull_back


def _project(model: keras.Model, micro_batch: Any) -> tf.Tensor:
    projections = model(micro_batch, training=True)
    of_weights = sum(weight.regularizer is not None for weight in model.trainable_weights)
    if len(model.losses) > of_weights:
        raise ValueError(
            "`micro_batch_size` must be None when layers add losses of their activations, with "
            "`add_loss` or an activity regularizer. Received: "
            f"micro_batch_size={model.micro_batch_size}, {len(model.losses) - of_weights} such "
            "losses"
        )
    return projections


def map_micro_batches(
    function: Callable[[Any], tf.Tensor], batch: Any, micro_batch_size: int | None
) -> tf.Tensor:
    """Applies a function that needs no gradient to a batch, one micro-batch at a time.

    Args:
        function: maps samples `[size, ...]` to float32 rows `[size, ...]`.
        batch: `[batch, ...]`, of a static size, or a structure of such arrays.
        micro_batch_size: the number of samples in a micro-batch, a divisor of the batch size.
            `None` applies the function to a batch of any size at once.

    Returns:
        `[batch, ...]` results.

    Raises:
        ValueError: if the batch size is not static or `micro_batch_size` does not divide it.
    """
    if micro_batch_size is None:
        return function(batch)
    return _join(_map_sequentially(function, _split(batch, micro_batch_size)))


def _split(batch: Any, micro_batch_size: int) -> Any:
    """Reshapes `[batch, ...]` to `[micro_batches, micro_batch_size, ...]`."""
    shape = first_array(batch).shape
    if shape[0] is None or shape[0] % micro_batch_size:
        raise ValueError(
            "`micro_batch_size` must divide the batch size, which must be static: use "
            "`dataset.batch(size, drop_remainder=True)`. Received: "
            f"micro_batch_size={micro_batch_size}, a batch of shape {shape} on each replica"
        )
    sizes = [shape[0] // micro_batch_size, micro_batch_size]
    return map_arrays(lambda x: with_leading_axes(x, 1, sizes), batch)


def _join(micro_batches: tf.Tensor) -> tf.Tensor:
    """Reshapes `[micro_batches, micro_batch_size, ...]` to `[batch, ...]`."""
    count, size, *rest = micro_batches.shape
    return tf.reshape(micro_batches, [count * size, *rest])


# On one of several replicas, a loop of the graph cannot assign variables. The two functions below
# then unroll the loop, and control dependencies keep the micro-batches in sequence.


def _map_sequentially(function: Callable[[Any], tf.Tensor], micro_batches: Any) -> tf.Tensor:
    """Stacks the results of a function for each micro-batch."""
    if replica_context() is None:
        return tf.map_fn(
            function, micro_batches, parallel_iterations=1, fn_output_signature=tf.float32
        )
    results: list[tf.Tensor] = []
    for micro_batch in _unstack(micro_batches):
        results.append(function(_after(results, micro_batch)))
    return tf.stack(results)


def _fold_sequentially(
    function: Callable[[list[tf.Tensor], tuple[Any, ...]], list[tf.Tensor]],
    micro_batches: tuple[Any, ...],
    state: list[tf.Tensor],
) -> list[tf.Tensor]:
    """Updates a state with a function of each micro-batch."""
    if replica_context() is None:
        return tf.foldl(function, micro_batches, state, parallel_iterations=1)
    for parts in _unstack(micro_batches):
        state = function(state, _after([*state, first_array(parts[-1])], parts))
    return state


def _unstack(micro_batches: Any) -> list[Any]:
    """Returns the micro-batches as a list."""
    count = first_array(micro_batches).shape[0]
    return [map_arrays(lambda x, i=i: x[i], micro_batches) for i in range(count)]


def _after(tensors: list[tf.Tensor], micro_batch: Any) -> Any:
    """Returns a micro-batch that is computed only after the tensors."""
    with tf.control_dependencies(tensors):
        return map_arrays(tf.identity, micro_batch)
