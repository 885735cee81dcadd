"""Functions with a custom gradient."""

from collections.abc import Callable, Sequence
from typing import NoReturn

import tensorflow as tf


def differentiable_once(
    forward: Callable[..., tf.Tensor],
    backward: Callable[..., Sequence[tf.Tensor | None]],
) -> Callable[..., tf.Tensor]:
    """Wraps a function with a first-order gradient; second-order differentiation raises an error.

    TensorFlow itself would silently return `None` or an incomplete second-order gradient.

    Args:
        forward: maps the inputs to one output.
        backward: maps the output, the gradient with respect to it, and the inputs to one gradient
            per input.

    Returns:
        The function of the inputs. An input can be `None`; its gradient is then `None` too.
    """

    def function(*inputs: tf.Tensor | None) -> tf.Tensor:
        is_given = [x is not None for x in inputs]

        def as_constants(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor | None]:
            constants = iter([tf.stop_gradient(x) for x in tensors])
            return [next(constants) if given else None for given in is_given]

        @tf.custom_gradient
        def with_gradient(
            *tensors: tf.Tensor,
        ) -> tuple[tf.Tensor, Callable[..., Sequence[tf.Tensor]]]:
            out = forward(*as_constants(tensors))
            return out, lambda upstream: gradient(out, upstream, *tensors)

        @tf.custom_gradient
        def gradient(
            out: tf.Tensor, upstream: tf.Tensor, *tensors: tf.Tensor
        ) -> tuple[Sequence[tf.Tensor], Callable[..., NoReturn]]:
            gradients = backward(
                tf.stop_gradient(out), tf.stop_gradient(upstream), *as_constants(tensors)
            )
            return [x for x in gradients if x is not None], _refuse

        return with_gradient(*(x for x in inputs if x is not None))

    return function


def _refuse(*_: tf.Tensor) -> NoReturn:
    raise NotImplementedError(
        "The contrastive losses have no second-order gradients. For small batches, use the "
        "functions of `supcon_tf.similarity.dense`, which are differentiable any number of times."
    )
