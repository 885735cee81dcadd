"""Numbers that can change between training steps."""

from collections.abc import Callable
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule


class Hyperparameter:
    """A descriptor of a number that can change between steps, for example in a callback.

    It can be a schedule of the step, if the check accepts schedules. A compiled step holds the
    value as a constant. Setting a new value therefore calls `_recompile` of the owner, which is a
    model or a part of models.

    Args:
        check: a function that raises `ValueError` for an invalid value.
    """

    def __init__(self, check: Callable[[Any], object]):
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    def __get__(self, owner: keras.Layer, owner_type: type) -> Any:
        return getattr(owner, self._attribute)

    def __set__(self, owner: keras.Layer, value: float | LearningRateSchedule) -> None:
        self._check(value)
        is_schedule = isinstance(value, LearningRateSchedule)
        setattr(owner, self._attribute, value if is_schedule else float(value))
        owner._recompile()
