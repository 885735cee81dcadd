"""What arguments may be: checks that all parts of the library share."""

import math
import numbers
from typing import Any


def check_choice(argument: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Returns the value of an argument.

    Raises:
        ValueError: if it is none of the choices.
    """
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")
    return value


def check_positive(argument: str, value: Any) -> float:
    """Returns the value of an argument, of Python's or of NumPy's types, as a Python number.

    Raises:
        ValueError: if it is not a finite number above 0.
    """
    if not (_is_finite_number(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0. Received: {value!r}")
    return float(value)


def check_non_negative(argument: str, value: Any) -> float:
    """Returns the value of an argument, of Python's or of NumPy's types, as a Python number.

    Raises:
        ValueError: if it is not a finite number from 0.
    """
    if not (_is_finite_number(value) and value >= 0):
        raise ValueError(f"`{argument}` must be a finite number from 0. Received: {value!r}")
    return float(value)


def check_integer(argument: str, value: Any, least: int = 1) -> int:
    """Returns the value of an argument, of Python's or of NumPy's types, as a Python number.

    Raises:
        ValueError: if it is not an integer, or below `least`.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"`{argument}` must be an integer of at least {least}. Received: {value!r}"
        )
    return int(value)


def _is_finite_number(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value)
