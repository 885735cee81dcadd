"""Optimizers whose weight decay can be a schedule."""

from typing import Any

import keras
from keras.optimizers import schedules

from supcon_tf._checks import check_non_negative
from supcon_tf._keras_internals import step_variable


class ScheduledWeightDecay(keras.optimizers.Optimizer):
    """Base class of optimizers whose `weight_decay` is a number, a schedule or `None`.

    Keras calls the schedule of a learning rate with the number of the step. This class does the
    same for the weight decay, so both are functions of the same steps.

    Raises:
        ValueError: if `weight_decay` is neither a finite non-negative number nor a schedule nor
            `None`.
    """

    _weight_decay: float | schedules.LearningRateSchedule | None

    @property
    def weight_decay(self) -> Any:
        """The weight decay of the current step: a number, `None`, or a scalar of a schedule."""
        if isinstance(self._weight_decay, schedules.LearningRateSchedule):
            return self._weight_decay(step_variable(self))
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: Any) -> None:
        is_number = value is not None and not isinstance(value, schedules.LearningRateSchedule)
        self._weight_decay = check_non_negative("weight_decay", value) if is_number else value

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild this optimizer."""
        decay = self._weight_decay
        if isinstance(decay, schedules.LearningRateSchedule):
            decay = schedules.serialize(decay)
        return {**super().get_config(), "weight_decay": decay}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "ScheduledWeightDecay":
        """Rebuilds an optimizer from `get_config`."""
        arguments = dict(config)
        if isinstance(arguments.get("weight_decay"), dict):
            arguments["weight_decay"] = schedules.deserialize(
                arguments["weight_decay"], custom_objects
            )
        return super().from_config(arguments, custom_objects)
