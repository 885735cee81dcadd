"""Weight decay as the papers' codes have it: a part of the gradient."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from supcon_tf._checks import check_non_negative

# Scales and offsets of normalizations, which are not decayed in the official code of SupCon.
NORMALIZATIONS = (r"/(gamma|beta)$",)


class CoupledWeightDecay(keras.optimizers.Optimizer):
    """Base of the optimizers that add `weight_decay` times the weights to their gradient.

    That is the gradient of `weight_decay / 2 * |w|^2`, so that momentum and adaptive scales act
    on it too. Keras's own `weight_decay` shrinks the weights after the step instead: with a
    momentum of 0.9 a tenth of this in effect.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite number from 0, or `exclude` is
            a string.
    """

    def __init__(
        self,
        *args: Any,
        weight_decay: float | None = None,
        exclude: Sequence[str] = (),
        **kwargs: Any,
    ):
        if weight_decay is not None:
            weight_decay = check_non_negative("weight_decay", weight_decay)
        super().__init__(*args, weight_decay=weight_decay, **kwargs)
        self.exclude = _patterns("exclude", exclude)
        self._undecayed_names: tuple[str, ...] = ()
        self._undecayed_keys: tuple[str, ...] = ()  # by which Keras knows variables
        self._undecayed_positions: tuple[int, ...] = ()  # among the variables to train

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the optimizer's variables and finds the excluded weights."""
        if self.built:
            return
        super().build(variables)
        self._excluded = [_is_found(self.exclude, variable) for variable in variables]
        # A loaded model has other keys and, where it is Sequential, other paths.
        self._undecayed_positions += tuple(
            position
            for position, variable in enumerate(variables)
            if self._var_key(variable) in self._undecayed_keys
        )
        self._undecayed = [
            self._excluded[position]
            or position in self._undecayed_positions
            or _is_found(self._undecayed_names, variable)
            for position, variable in enumerate(variables)
        ]

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Excludes variables from weight decay and from nothing else.

        Unlike in Keras's optimizers the exclusion is a part of the configuration, so that a model
        that is trained, saved and loaded keeps it.

        Args:
            var_list: variables.
            var_names: regular expressions; variables in whose path one is found are excluded.

        Raises:
            ValueError: if the optimizer is built, or `var_names` is a string.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay` must be called before the optimizer is built: right "
                f"after it is created, before `fit`. Received: {self.name}, which is built"
            )
        self._undecayed_names = _patterns("var_names", var_names or ())
        self._undecayed_keys = tuple(self._var_key(variable) for variable in var_list or ())
        self._undecayed_positions = ()

    def is_excluded(self, variable: keras.Variable) -> bool:
        """Tells whether a weight matches `exclude`."""
        return self._excluded[self._get_variable_index(variable)]

    def decayed(self, gradient: Any, variable: keras.Variable) -> Any:
        """Returns a weight's gradient with the decay's."""
        gradient = ops.cast(gradient, variable.dtype)
        if not self.weight_decay or self._undecayed[self._get_variable_index(variable)]:
            return gradient
        return gradient + self.weight_decay * variable

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Leaves out Keras's own decay; `update_step` adds this one to the gradients."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        return {
            **super().get_config(),
            "exclude": list(self.exclude),
            "undecayed_names": list(self._undecayed_names),
            "undecayed_positions": list(self._undecayed_positions),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "CoupledWeightDecay":
        """Rebuilds an optimizer from `get_config`."""
        arguments = dict(config)
        names = arguments.pop("undecayed_names", ())
        positions = arguments.pop("undecayed_positions", ())
        optimizer = super().from_config(arguments, custom_objects)
        optimizer._undecayed_names = tuple(names)
        optimizer._undecayed_positions = tuple(positions)
        return optimizer


def _patterns(argument: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):  # its letters would each exclude what they are found in
        raise ValueError(
            f"`{argument}` must be a sequence of regular expressions, such as ['bias']. "
            f"Received: {value!r}"
        )
    return tuple(value)


def _is_found(patterns: Sequence[str], variable: keras.Variable | tf.Variable) -> bool:
    path = getattr(variable, "path", variable.name)
    return any(re.search(pattern, path) for pattern in patterns)


@keras.saving.register_keras_serializable(package="supcon_tf")
class SGD(CoupledWeightDecay, keras.optimizers.SGD):
    """`keras.optimizers.SGD` whose weight decay is a part of the gradient.

    With `exclude=()`, the default, the step is that of PyTorch's SGD, but that the learning rate
    stands inside of the momentum buffer: the same unless it changes from step to step.

    Examples:
        >>> import supcon_tf
        >>> optimizer = supcon_tf.optimizers.SGD(0.5, momentum=0.9, weight_decay=1e-4)
        >>> optimizer.weight_decay
        0.0001

    Args:
        *args: as of `keras.optimizers.SGD`.
        weight_decay: added to the gradient, times the weights; from 0, or `None` for none.
        exclude: regular expressions; variables in whose path one is found are not decayed. The name
            of the model, with which a path may begin, may be missing from it in a loaded model.
        **kwargs: as of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite number from 0, or `exclude` is
            a string.
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Makes one step in one variable."""
        super().update_step(self.decayed(gradient, variable), variable, learning_rate)


@keras.saving.register_keras_serializable(package="supcon_tf")
class RMSprop(CoupledWeightDecay, keras.optimizers.RMSprop):
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
        weight_decay: added to the gradient, times the weights; from 0, or `None` for none.
        exclude: regular expressions; variables in whose path one is found are not decayed. The name
            of the model, with which a path may begin, may be missing from it in a loaded model.
        **kwargs: as of `keras.optimizers.RMSprop`.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite number from 0, or `exclude` is
            a string.
    """

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Makes one step in one variable."""
        super().update_step(self.decayed(gradient, variable), variable, learning_rate)
