"""The table of what `python -m experiments.robustness` measures."""

from collections.abc import Mapping
from typing import Any

FIGURES = ("accuracy", "ece")


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Writes accuracy and calibration error, clean and by severity, and mCE in percent.

    Args:
        figures: `classifiers` of robustness.json.

    Returns:
        Markdown.
    """
    text = "| | | clean | 1 | 2 | 3 | 4 | 5 | mCE | rel. mCE |\n|" + 10 * "---|" + "\n"
    for name, each in figures.items():
        for key in FIGURES:
            values = [each["clean"][key], *each["mean"][key]]
            cells = [name, key, *(f"{value:.4f}" for value in values)]
            for error in ("mce", "relative_mce"):
                value = each.get(error) if key == "accuracy" else None
                cells.append("" if value is None else f"{100 * value:.1f}")
            text += f"| {' | '.join(cells)} |\n"
    return text
