"""Numbers that the steps of a model are compiled with."""

from collections.abc import Callable
from typing import Any

import keras


class Hyperparameter:
    """A number that can change between steps, for example set by a callback.

    A compiled step holds the value as a constant. A new value therefore calls `_recompile` of the
    owner, a model or a part of models.

    Args:
        require: raises `ValueError` for a value that the attribute may not have.
    """

    def __init__(self, require: Callable[[Any], object]):
        self._require = require

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    def __get__(self, owner: keras.Layer, owner_type: type) -> float:
        value: float = getattr(owner, self._attribute)
        return value

    def __set__(self, owner: keras.Layer, value: float) -> None:
        self._require(value)
        setattr(owner, self._attribute, float(value))
        owner._recompile()
