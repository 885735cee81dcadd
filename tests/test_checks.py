import numpy as np
import pytest

from supcon_tf import _checks


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (_checks.check_positive, 2, 2.0),
        (_checks.check_positive, np.float32(0.5), 0.5),
        (_checks.check_non_negative, 0, 0.0),
        (_checks.check_fraction, 0, 0.0),
        (_checks.check_fraction, 0.999, 0.999),
        (_checks.check_probability, 1, 1.0),
        (_checks.check_range, [np.float32(0.5), 1], (0.5, 1.0)),
        (_checks.check_integer, np.int64(1), 1),
    ],
)
def test_valid_values_become_python_numbers(check, value, expected):
    result = check("x", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (_checks.check_positive, 0, "must be a finite number above 0. Received: 0"),
        (_checks.check_positive, np.inf, "Received: inf"),
        (_checks.check_positive, True, "Received: True"),
        (_checks.check_non_negative, -1e-9, "must be a finite number of at least 0. Received: -1e"),
        (_checks.check_non_negative, np.nan, "Received: nan"),
        (_checks.check_fraction, 1, "must be at least 0 and below 1. Received: 1"),
        (_checks.check_fraction, -0.1, "Received: -0.1"),
        (_checks.check_probability, 1.1, "must be a number between 0 and 1. Received: 1.1"),
        (_checks.check_probability, -0.1, "Received: -0.1"),
        (_checks.check_range, (0.5,), r"must be a smallest and a largest number.*\(0.5,\)"),
        (_checks.check_range, 0.5, "Received: 0.5"),
        (_checks.check_range, (0.0, 1.0), "Received"),
        (_checks.check_range, (2, 1), "Received"),
        (_checks.check_range, (1, np.nan), "Received"),
        (_checks.check_integer, 0, "must be an integer of at least 1. Received: 0"),
        (_checks.check_integer, 2.0, "Received: 2.0"),
        (_checks.check_integer, True, "Received: True"),
    ],
)
def test_other_values_raise(check, value, message):
    with pytest.raises(ValueError, match=f"`x`.*{message}"):
        check("x", value)


def test_choices():
    assert _checks.check_choice("x", "b", ("a", "b")) == "b"
    with pytest.raises(ValueError, match=r"`x` must be one of \('a', 'b'\). Received: 'c'"):
        _checks.check_choice("x", "c", ("a", "b"))
