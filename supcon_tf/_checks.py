"""Checks of arguments. Each returns the valid value, as a plain Python number if it is a number."""

import math
import numbers
from collections.abc import Sequence
from typing import Any


def check_choice(argument: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Checks that an argument is one of several values.

    Raises:
        ValueError: if it is not.
    """
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")
    return value


def check_positive(argument: str, value: Any) -> float:
    """Checks that an argument is a finite number above 0.

    Raises:
        ValueError: if it is not.
    """
    if not (_is_finite_number(value) and value > 0):
        raise ValueError(f"`{argument}` must be a finite number above 0. Received: {value!r}")
    return float(value)


def check_non_negative(argument: str, value: Any) -> float:
    """Checks that an argument is a finite number of at least 0.

    Raises:
        ValueError: if it is not.
    """
    if not (_is_finite_number(value) and value >= 0):
        raise ValueError(f"`{argument}` must be a finite number of at least 0. Received: {value!r}")
    return float(value)


def check_fraction(argument: str, value: Any) -> float:
    """Checks that an argument is a number of at least 0 and below 1.

    Raises:
        ValueError: if it is not.
    """
    if not (_is_finite_number(value) and 0 <= value < 1):
        raise ValueError(f"`{argument}` must be at least 0 and below 1. Received: {value!r}")
    return float(value)


def check_probability(argument: str, value: Any) -> float:
    """Checks that an argument is a number between 0 and 1, both included.

    Raises:
        ValueError: if it is not.
    """
    if not (_is_finite_number(value) and 0 <= value <= 1):
        raise ValueError(f"`{argument}` must be a number between 0 and 1. Received: {value!r}")
    return float(value)


def check_range(argument: str, value: Any, limit: float = math.inf) -> tuple[float, float]:
    """Checks that an argument is a smallest and a largest number, above 0 and at most `limit`.

    Raises:
        ValueError: if it is not.
    """
    pair = tuple(value) if isinstance(value, Sequence) else ()
    are_numbers = len(pair) == 2 and all(map(_is_finite_number, pair))
    if not (are_numbers and 0 < pair[0] <= pair[1] <= limit):
        raise ValueError(
            f"`{argument}` must be a smallest and a largest number, above 0 and at most {limit}, "
            f"such as `(0.5, 1.0)`. Received: {value!r}"
        )
    return float(pair[0]), float(pair[1])


def check_integer(argument: str, value: Any, least: int = 1) -> int:
    """Checks that an argument is an integer of at least `least`.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"`{argument}` must be an integer of at least {least}. Received: {value!r}"
        )
    return int(value)


def _is_finite_number(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value)
