"""Functions that come with their own gradient."""

from collections.abc import Callable, Sequence
from typing import NoReturn

import tensorflow as tf


def differentiable_once(
    forward: Callable[..., tf.Tensor],
    backward: Callable[..., Sequence[tf.Tensor]],
) -> Callable[..., tf.Tensor]:
    """Gives a function a gradient, and that gradient an error instead of a gradient.

    Without it a second-order gradient would silently be `None` or incomplete.

    Args:
        forward: maps the inputs to one output.
        backward: maps the output, the gradient with respect to it, and the inputs to one gradient
            per input.

    Returns:
        The function of the inputs.
    """

    def constants(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        return [tf.stop_gradient(x) for x in tensors]

    @tf.custom_gradient
    def function(*inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Sequence[tf.Tensor]]]:
        out = forward(*constants(inputs))
        return out, lambda upstream: gradient(out, upstream, *inputs)

    @tf.custom_gradient
    def gradient(*tensors: tf.Tensor) -> tuple[Sequence[tf.Tensor], Callable[..., NoReturn]]:
        return backward(*constants(tensors)), _refuse

    return function


def _refuse(*_: tf.Tensor) -> NoReturn:
    raise NotImplementedError(
        "The contrastive losses have no second-order gradients. The formulas in "
        "`supcon_tf.similarity.dense` have, for small batches."
    )
