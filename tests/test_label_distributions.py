"""The figures of docs/label_distributions.md, computed again."""

import pathlib
import re

import numpy as np
import pytest

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "label_distributions.md").read_text()
NUMBERS = [
    [float(cell) for cell in row.split("|")[1:-1]]
    for row in re.findall(r"^\| *\d.*\|$", PAGE, re.MULTILINE)
]
MIXED = [row for row in NUMBERS if row[0] < 1]
SMOOTHED = [row for row in NUMBERS if row[0] > 1]


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


def test_both_tables_are_there():
    assert [row[0] for row in MIXED] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert [row[0] for row in SMOOTHED] == [10, 100, 1000]


@pytest.mark.parametrize(("lam", "own", "partners"), MIXED)
def test_mixed_labels(lam, own, partners):
    row = np.array([lam, 1 - lam])
    assert own == pytest.approx(cosine(row, np.array([1.0, 0.0])), abs=5e-5)
    assert partners == pytest.approx(cosine(row, np.array([0.0, 1.0])), abs=5e-5)


@pytest.mark.parametrize(("classes", "similarity", "share"), SMOOTHED)
def test_smoothed_labels(classes, similarity, share):
    classes = int(classes)
    one, other = 0.9 * np.eye(classes)[:2] + 0.1 / classes
    expected = cosine(one, other)
    assert similarity == pytest.approx(expected, rel=3e-4)
    others = (classes - 1) * expected
    assert share == pytest.approx(others / (1 + others), abs=5e-4)
