"""Weight decay as the papers' codes have it: a part of the gradient."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

# Scales and offsets of normalisations, which are not decayed in the official code of SupCon.
NORMALIZATIONS = (r"/(gamma|beta)$",)


class GradientDecay(keras.optimizers.Optimizer):
    """Base of the optimizers that add `weight_decay` times the weights to their gradient.

    That is the gradient of `weight_decay / 2 * |w|^2`, so that momentum and adaptive scales act
    on it too. Keras's own `weight_decay` shrinks the weights after the step instead: with a
    momentum of 0.9 a tenth of this in effect.

    Raises:
        ValueError: if `weight_decay` is negative, or `exclude` is a string.
    """

    def __init__(
        self, *args: Any, weight_decay: float = 0.0, exclude: Sequence[str] = (), **kwargs: Any
    ):
        if not weight_decay >= 0:
            raise ValueError(f"`weight_decay` must not be negative. Received: {weight_decay!r}")
        if isinstance(exclude, str):  # its letters would each exclude what they are found in
            raise ValueError(
                "`exclude` must be a sequence of regular expressions, such as ['bias']. "
                f"Received: {exclude!r}"
            )
        super().__init__(*args, weight_decay=None, **kwargs)
        self.gradient_decay = weight_decay
        self.exclude = tuple(exclude)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the optimizer's variables and finds the excluded weights."""
        if self.built:
            return
        super().build(variables)
        self._excluded = [
            any(re.search(pattern, variable.path) for pattern in self.exclude)
            for variable in variables
        ]

    def is_excluded(self, variable: keras.Variable) -> bool:
        """Tells whether a weight is not decayed."""
        return self._excluded[self._get_variable_index(variable)]

    def decayed(self, gradient: Any, variable: keras.Variable) -> Any:
        """Returns a weight's gradient with the decay's."""
        gradient = ops.cast(gradient, variable.dtype)
        if self.is_excluded(variable):
            return gradient
        return gradient + self.gradient_decay * variable

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "weight_decay": self.gradient_decay,
            "exclude": list(self.exclude),
        }


@keras.saving.register_keras_serializable(package="supcon_tf")
class SGD(GradientDecay, keras.optimizers.SGD):
    """`keras.optimizers.SGD` whose weight decay is a part of the gradient.

    With `exclude=()`, the default, the step is that of PyTorch's SGD, but that the learning rate
    stands inside of the momentum buffer: the same unless it changes from step to step.

    Examples:
        >>> import supcon_tf
        >>> optimizer = supcon_tf.optimizers.SGD(0.5, momentum=0.9, weight_decay=1e-4)
        >>> optimizer.get_config()["weight_decay"]
        0.0001

    Args:
        *args: as of `keras.optimizers.SGD`.
        weight_decay: added to the gradient, times the weights; from 0.
        exclude: regular expressions; variables in whose path one is found are not decayed.
        **kwargs: as of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `weight_decay` is negative, or `exclude` is a string.
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Makes one step in one variable."""
        super().update_step(self.decayed(gradient, variable), variable, learning_rate)


@keras.saving.register_keras_serializable(package="supcon_tf")
class RMSprop(GradientDecay, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` whose weight decay is a part of the gradient.

    As in TensorFlow 1, epsilon stands under the root; unlike there, the mean of squared gradients
    starts at 0 and not at 1.

    Examples:
        >>> import supcon_tf
        >>> optimizer = supcon_tf.optimizers.RMSprop(
        ...     0.05, rho=0.9, momentum=0.9, epsilon=1e-3, weight_decay=1e-6
        ... )

    Args:
        *args: as of `keras.optimizers.RMSprop`.
        weight_decay: added to the gradient, times the weights; from 0.
        exclude: regular expressions; variables in whose path one is found are not decayed.
        **kwargs: as of `keras.optimizers.RMSprop`.

    Raises:
        ValueError: if `weight_decay` is negative, or `exclude` is a string.
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Makes one step in one variable."""
        super().update_step(self.decayed(gradient, variable), variable, learning_rate)
