"""Numbers that can change between training steps."""

from collections.abc import Callable
from typing import Any

import keras


class Hyperparameter:
    """A descriptor of a number that can change between steps, for example in a callback.

    A compiled step holds the value as a constant. Setting a new value therefore calls `_recompile`
    of the owner, which is a model or a part of models.

    Args:
        check: a function that raises `ValueError` for an invalid value.
    """

    def __init__(self, check: Callable[[Any], object]):
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    def __get__(self, owner: keras.Layer, owner_type: type) -> float:
        value: float = getattr(owner, self._attribute)
        return value

    def __set__(self, owner: keras.Layer, value: float) -> None:
        self._check(value)
        setattr(owner, self._attribute, float(value))
        owner._recompile()
