"""Optimizers with coupled weight decay, which adds the gradient of an L2 penalty."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from supcon_tf._keras_internals import keras_hook, variable_index, variable_key
from supcon_tf.optimizers.scheduled_weight_decay import ScheduledWeightDecay

# Scales and offsets of normalization layers. The official code of SupCon does not decay them.
NORMALIZATIONS = (r"/(gamma|beta)$",)


class CoupledWeightDecay(ScheduledWeightDecay):
    """Base class of optimizers that add `weight_decay` times the weights to the gradient.

    This term is the gradient of the L2 penalty `weight_decay / 2 * |w|^2`. Momentum and adaptive
    scaling therefore apply to it as well. Keras's own `weight_decay` is decoupled: it shrinks the
    weights after the step. At a momentum of 0.9, its effect is a tenth as large.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite non-negative number nor a
            schedule, or `exclude` is a string.
    """

    def __init__(
        self,
        *args: Any,
        weight_decay: float | LearningRateSchedule | None = None,
        exclude: Sequence[str] = (),
        **kwargs: Any,
    ):
        super().__init__(*args, weight_decay=weight_decay, **kwargs)
        self.exclude = _check_patterns("exclude", exclude)
        self._undecayed_names: tuple[str, ...] = ()
        self._undecayed_keys: tuple[str, ...] = ()  # Keras's keys of variables
        self._undecayed_positions: tuple[int, ...] = ()  # positions among the trainable variables

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the optimizer's variables and finds the weights that are excluded from decay."""
        if self.built:
            return
        super().build(variables)
        self._excluded = [_matches(variable, self.exclude) for variable in variables]
        # A loaded model has new keys, and a loaded Sequential model has new paths too. Positions
        # stay the same.
        self._undecayed_positions += tuple(
            position
            for position, variable in enumerate(variables)
            if variable_key(self, variable) in self._undecayed_keys
        )
        self._undecayed = [
            self._excluded[position]
            or position in self._undecayed_positions
            or _matches(variable, self._undecayed_names)
            for position, variable in enumerate(variables)
        ]

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Excludes variables from weight decay only.

        Unlike in Keras's optimizers, the exclusion is part of the configuration. A model that is
        trained, saved and loaded keeps it.

        Args:
            var_list: variables to exclude.
            var_names: regular expressions. A variable is excluded if one of them matches a part of
                its path.

        Raises:
            ValueError: if the optimizer is built, or `var_names` is a string.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay` must be called before the optimizer is built: right "
                f"after creating it, before `fit`. Received: {self.name}, which is built"
            )
        self._undecayed_names = _check_patterns("var_names", var_names or ())
        self._undecayed_keys = tuple(variable_key(self, variable) for variable in var_list or ())
        self._undecayed_positions = ()

    @property
    def _excludes_variables(self) -> bool:
        """Whether variables are excluded, which the configuration contains only after `build`."""
        return bool(self._undecayed_keys)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Updates one variable by the gradient plus the weight decay."""
        super().update_step(self._add_weight_decay(gradient, variable), variable, learning_rate)

    def _add_weight_decay(self, gradient: Any, variable: keras.Variable) -> Any:
        """Returns the gradient plus `weight_decay` times the weight, unless it is excluded."""
        gradient = ops.cast(gradient, variable.dtype)
        # Not the property, which is a tensor for a schedule.
        if not self._weight_decay or self._undecayed[variable_index(self, variable)]:
            return gradient
        return gradient + ops.cast(self.weight_decay, variable.dtype) * variable

    def _is_excluded(self, variable: keras.Variable) -> bool:
        """Returns whether a weight matches `exclude`."""
        return self._excluded[variable_index(self, variable)]

    @keras_hook
    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        """Disables Keras's decoupled decay."""

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


def _check_patterns(argument: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):  # Each of its characters would be a pattern.
        raise ValueError(
            f"`{argument}` must be a sequence of regular expressions, such as ['bias']. "
            f"Received: {value!r}"
        )
    return tuple(value)


def _matches(variable: keras.Variable | tf.Variable, patterns: Sequence[str]) -> bool:
    path = getattr(variable, "path", variable.name)  # A `tf.Variable` has only a name.
    return any(re.search(pattern, path) for pattern in patterns)


@keras.saving.register_keras_serializable(package="supcon_tf")
class SGDWithL2(CoupledWeightDecay, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with coupled (L2) weight decay.

    With the default `exclude=()`, a step equals one of PyTorch's SGD, except that the learning rate
    is inside the momentum buffer. The two differ only while the learning rate changes.

    Examples:
        >>> import supcon_tf
        >>> optimizer = supcon_tf.optimizers.SGDWithL2(0.5, momentum=0.9, weight_decay=1e-4)
        >>> optimizer.weight_decay
        0.0001

    Args:
        *args: positional arguments of `keras.optimizers.SGD`.
        weight_decay: non-negative factor of the weights in the gradient, or a schedule of it
            (`keras.optimizers.schedules.LearningRateSchedule`); `None` for no decay.
        exclude: regular expressions. A variable is not decayed if one of them matches a part of its
            path. Do not match the model's name: the paths of a loaded model can lack it.
        **kwargs: other arguments of `keras.optimizers.SGD`.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite non-negative number nor a
            schedule, or `exclude` is a string.
    """


@keras.saving.register_keras_serializable(package="supcon_tf")
class RMSpropWithL2(CoupledWeightDecay, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` with coupled (L2) weight decay.

    Epsilon is under the root, as in TensorFlow 1. The mean of squared gradients starts at 0; in
    TensorFlow 1 it starts at 1.

    Examples:
        >>> import supcon_tf
        >>> optimizer = supcon_tf.optimizers.RMSpropWithL2(
        ...     0.05, rho=0.9, momentum=0.9, epsilon=1e-3, weight_decay=1e-6
        ... )

    Args:
        *args: positional arguments of `keras.optimizers.RMSprop`.
        weight_decay: non-negative factor of the weights in the gradient, or a schedule of it
            (`keras.optimizers.schedules.LearningRateSchedule`); `None` for no decay.
        exclude: regular expressions. A variable is not decayed if one of them matches a part of its
            path. Do not match the model's name: the paths of a loaded model can lack it.
        **kwargs: other arguments of `keras.optimizers.RMSprop`.

    Raises:
        ValueError: if `weight_decay` is neither `None` nor a finite non-negative number nor a
            schedule, or `exclude` is a string.
    """
