"""Writes the tables of a grid: accuracies, claims of the papers, and spreads."""

import statistics
import types
from collections.abc import Mapping

from experiments.grids import Claim
from experiments.lib import training_records
from experiments.lib.intervals import difference_interval
from experiments.lib.tables import accuracy_table, markdown_table
from experiments.lib.training_records import Record

NOISE = 0.005  # Another seed can reverse the sign of a smaller difference of two trainings.


def trained_rows(grid: types.ModuleType, records: Mapping[str, Record], recipe: str) -> int:
    """Returns the number of rows of a grid that were trained."""
    return sum(bool(training_records.select(records, recipe, row, grid.ROWS)) for row in grid.ROWS)


def tables_of_trainings(grid: types.ModuleType, records: Mapping[str, Record], recipe: str) -> str:
    """Writes the table of the rows of a grid, their commits, and the table of its claims."""
    text = accuracy_table(grid.ROWS, records, recipe)
    if commits := commits_of(grid, records, recipe):
        text += f"\nCommits: {', '.join(commits)}.\n"
    rows = [claim_row(claim, grid, records, recipe) for claim in grid.CLAIMS]
    if any(rows):
        header = ["claim", "difference", "95 % interval", "verdict"]
        text += "\n" + markdown_table(header, filter(None, rows))
    if spreads := spread_rows(grid, records, recipe):
        header = ["", "rows", "lowest accuracy", "highest accuracy", "standard deviation"]
        text += "\n" + markdown_table(header, spreads)
    return text


def commits_of(grid: types.ModuleType, records: Mapping[str, Record], recipe: str) -> list[str]:
    """Returns the commits of the trainings of a grid.

    The last one is "others not recorded" if only some trainings recorded theirs.
    """
    selected = (training_records.select(records, recipe, row, grid.ROWS) for row in grid.ROWS)
    commits = {record.get("versions", {}).get("commit") for each in selected for record in each}
    known = sorted(commits - {None})
    return [*known, "others not recorded"] if known and None in commits else known


def spread_rows(
    grid: types.ModuleType, records: Mapping[str, Record], recipe: str
) -> list[list[str]]:
    """Returns the cells of the groups of rows in `SPREADS` that were trained completely."""
    cells = []
    for label, names in getattr(grid, "SPREADS", {}).items():
        selected = [
            training_records.select(records, recipe, row, grid.ROWS)
            for row in grid.ROWS
            if row.name in names
        ]
        if all(selected):
            means = [
                statistics.mean(record["test"]["accuracy"] for record in each) for each in selected
            ]
            values = min(means), max(means), statistics.stdev(means)
            cells.append([label, str(len(means)), *(f"{value:.4f}" for value in values)])
    return cells


def claim_row(
    claim: Claim, grid: types.ModuleType, records: Mapping[str, Record], recipe: str
) -> list[str] | None:
    """Returns the cells of a claim, or `None` if one of its rows was not trained."""
    accuracies = []
    for name in (claim.better, claim.worse):
        (row,) = (each for each in grid.ROWS if each.name == name)
        selected = training_records.select(records, recipe, row, grid.ROWS)
        if not selected:
            return None
        accuracies.append([record["test"]["accuracy"] for record in selected])
    better, worse = accuracies
    difference = statistics.mean(better) - statistics.mean(worse)
    if min(len(better), len(worse)) > 1:
        low, high = difference_interval(better, worse)
        interval, is_noise = f"{low:+.4f} to {high:+.4f}", low <= 0 <= high
    else:
        interval, is_noise = "", abs(difference) < NOISE
    verdict = "agrees" if difference > 0 else "does not agree"
    verdict = f"{verdict}, within the noise" if is_noise else f"**{verdict}**"
    return [claim.text, f"{difference:+.4f}", interval, verdict]
