"""Keras functionality that has no public API.

No other file of the library reads a non-public attribute of a Keras object. Every function states
why the library needs it and what the public API lacks. `KERAS_HOOKS` lists the methods that the
library overrides although Keras does not document when it calls them.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import keras
import tensorflow as tf

from supcon_tf._tensorflow_internals import require_internal

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Hook(NamedTuple):
    owner: type
    why: str


# Keras calls these methods, but does not guarantee it.
KERAS_HOOKS = {
    "make_train_function": _Hook(keras.Model, "`fit` calls the function that it builds."),
    "make_test_function": _Hook(keras.Model, "`evaluate` calls the function that it builds."),
    "make_predict_function": _Hook(keras.Model, "`predict` calls the function that it builds."),
    "_maybe_symbolic_build": _Hook(
        keras.Model,
        "Under a strategy it builds the metrics from the average of the replicas' first batches, "
        "and consumes these batches.",
    ),
    "_apply_weight_decay": _Hook(
        keras.optimizers.Optimizer,
        "It decays the weights themselves; coupled weight decay changes the gradients instead.",
    ),
}


def keras_hook(method: _Method) -> _Method:
    """Marks a method that overrides one of `KERAS_HOOKS`.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    require_internal(KERAS_HOOKS[method.__name__].owner, method.__name__)
    return method


def first_batch(epoch_iterator: Iterable[Any]) -> Any:
    """Draws a batch from the iterator that Keras passes to `_maybe_symbolic_build`.

    Why: building the metrics needs the shapes of a batch. Not guaranteed: the elements of the
    iterator. They are tuples whose last item is an iterator over batches: pairs in Keras 3.10,
    triples in Keras 3.15.

    Args:
        epoch_iterator: the iterator over the steps of an epoch.

    Returns:
        The next batch. Under a strategy every tensor is a `tf.distribute.DistributedValues`.
    """
    *_, batches = next(iter(epoch_iterator))
    return next(batches)


def symbolic_build(model: keras.Model, batch: Any) -> None:
    """Builds a compiled model, its loss and its metrics from the shapes of a batch.

    Why: callbacks need complete metrics when training begins. Public API: `keras.Model.build`
    builds the layers only. Keras builds the loss and the metrics in the first step.

    Args:
        model: a compiled model.
        batch: `(x, y, sample_weight)` with `keras.KerasTensor`s.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    require_internal(model, "_symbolic_build")(data_batch=batch)


def has_built_metrics(model: keras.Model) -> bool:
    """Returns whether the compiled loss and metrics of a model are built.

    Why: if they are built, no batch has to be drawn for its shapes. Public API: none.
    `keras.Model.metrics` omits metrics that are not built.

    Args:
        model: a compiled model.

    Raises:
        RuntimeError: if the installed version of Keras has no such attributes.
    """
    parts = [require_internal(model, name) for name in ("_compile_loss", "_compile_metrics")]
    return all(part is None or part.built for part in parts)


def flatten_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Returns a layer and all layers within it, at any depth, in the same order for its copies.

    Why: every layer has its own `trainable`. Public API: `keras.Model.layers` lists the layers of a
    model, but nothing lists the layers within a layer that is not a model.

    Args:
        layer: a layer or a model.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    layers: list[keras.Layer] = require_internal(layer, "_flatten_layers")()
    return layers


def producer(tensor: keras.KerasTensor) -> tuple[keras.Operation, list[keras.KerasTensor]]:
    """Returns the operation that computes a symbolic tensor, and the inputs of that operation.

    Why: the activation of the last layer determines whether a classifier returns logits. Public
    API: `keras.Operation.output` and `input` lead from an operation to its tensors, but nothing
    leads from a tensor to its operation.

    Args:
        tensor: an output of a functional model.

    Raises:
        RuntimeError: if the installed version of Keras has no such attributes.
    """
    history = require_internal(tensor, "_keras_history")
    node = require_internal(history.operation, "_inbound_nodes")[history.node_index]
    return history.operation, node.input_tensors


def mask_of(tensor: Any) -> Any:
    """Returns the Keras mask of a tensor, or `None`.

    Why: losses of pairs cannot apply a mask and must refuse it. Public API: `keras.Layer` passes
    masks to its `call`, but a loss receives only the tensor. Not guaranteed: the attribute. If a
    version stores masks elsewhere, this function returns `None`, and only the tests detect it.

    Args:
        tensor: the output of a layer.
    """
    return getattr(tensor, "_keras_mask", None)


def count_steps(optimizer: keras.Optimizer) -> int:
    """Returns the number of steps of an optimizer, including those that only accumulate gradients.

    Why: training resumes at this step. Public API: `keras.Optimizer.iterations` counts updates of
    the weights, which gradient accumulation makes only every few steps.

    Args:
        optimizer: a built optimizer.

    Raises:
        RuntimeError: if the installed version of Keras has no such attribute.
    """
    return int(keras.ops.convert_to_numpy(step_variable(optimizer)))


def step_variable(optimizer: keras.Optimizer) -> keras.Variable:
    """Returns the variable with the number of steps, by which Keras schedules a learning rate.

    Why: a schedule of the weight decay counts the same steps. Public API: `iterations`, which
    counts differently with gradient accumulation, see `count_steps`.

    Args:
        optimizer: an optimizer.

    Raises:
        RuntimeError: if the installed version of Keras has no such attribute.
    """
    return require_internal(optimizer, "_iterations")


def variable_key(optimizer: keras.Optimizer, variable: keras.Variable | tf.Variable) -> str:
    """Returns the key by which an optimizer identifies a variable, before and after it is built.

    Why: under a strategy an update step receives the variable of one replica, which is not the same
    object as the variable of the model. Public API: none.

    Args:
        optimizer: an optimizer.
        variable: a variable, or its part on one replica.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    key: str = require_internal(optimizer, "_var_key")(variable)
    return key


def variable_index(optimizer: keras.Optimizer, variable: keras.Variable | tf.Variable) -> int:
    """Returns the position of a variable among those that an optimizer was built with.

    Why: `update_step` receives a variable and needs the momentum buffer of this variable. Public
    API: none. The optimizers of Keras use the same method.

    Args:
        optimizer: a built optimizer.
        variable: a variable, or its part on one replica.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    index: int = require_internal(optimizer, "_get_variable_index")(variable)
    return index


def uses_weight_decay(optimizer: keras.Optimizer, variable: keras.Variable) -> bool:
    """Returns whether an optimizer decays a variable: `exclude_from_weight_decay` can exclude it.

    Why: optimizers with several learning rates decay the weights themselves. Public API: none.

    Args:
        optimizer: an optimizer.
        variable: a variable.

    Raises:
        RuntimeError: if the installed version of Keras has no such method.
    """
    used: bool = require_internal(optimizer, "_use_weight_decay")(variable)
    return used
