"""Numbers that the steps of a model are compiled with."""

from collections.abc import Callable
from typing import Any

import keras


class Hyperparameter:
    """An attribute of a model that may change between steps, set by a callback for example.

    A compiled step holds its value as a constant, so that a new value compiles the steps anew.

    Args:
        require: raises `ValueError` for a value that the attribute may not have.
    """

    def __init__(self, require: Callable[[Any], object]):
        self._require = require

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = f"_{name}"

    def __get__(self, model: keras.Model, owner: type) -> float:
        value: float = getattr(model, self._attribute)
        return value

    def __set__(self, model: keras.Model, value: float) -> None:
        self._require(value)
        setattr(model, self._attribute, float(value))
        if model.train_function is not None:
            model.make_train_function(force=True)
        if model.test_function is not None:
            model.make_test_function(force=True)
