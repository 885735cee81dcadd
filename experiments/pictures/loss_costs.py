"""Time and memory of implementations of a loss against the number of rows."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from experiments.pictures.canvas import COLORS, MARKERS, new_figure, save

_QUANTITIES = (("seconds", 1, "time in seconds"), ("bytes", 1e-6, "additional memory in MB"))


def loss_costs(path: pathlib.Path, measurements: Sequence[Mapping[str, Any]]) -> None:
    """Draws time and memory on logarithmic axes, with a column for each number of dimensions.

    Args:
        path: the PNG to write; the SVG has the same name.
        measurements: `method`, `rows` and `dim` of each measurement, and what was measured of
            `seconds` and `bytes`.
    """
    dims = sorted({each["dim"] for each in measurements})
    methods = dict.fromkeys(each["method"] for each in measurements)
    styles = dict(zip(methods, zip(COLORS, MARKERS, strict=True), strict=False))
    figure = new_figure(6.4)
    axes = figure.subplots(2, len(dims), squeeze=False, sharex="row", sharey="row")
    for row, (key, unit, label) in zip(axes, _QUANTITIES, strict=True):
        row[0].set_ylabel(label)
        for axis, dim in zip(row, dims, strict=True):
            measured = [each for each in measurements if each["dim"] == dim and each.get(key)]
            for method, (color, marker) in styles.items():
                points = [(x["rows"], unit * x[key]) for x in measured if x["method"] == method]
                if points:
                    axis.loglog(*np.array(points).T, color=color, marker=marker, label=method)
            axis.grid()
        sizes = sorted({each["rows"] for each in measurements if each.get(key)})
        # A label for each size, or for every other one if they are many.
        row[0].xaxis.set_major_locator(FixedLocator(sizes[:: 1 + len(sizes) // 6]))
        row[0].xaxis.set_minor_locator(NullLocator())
        row[0].xaxis.set_major_formatter("{x:,.0f}")
    for axis, dim in zip(axes[0], dims, strict=True):
        axis.set_title(f"embeddings of {dim} numbers")
    for axis in axes[1]:
        axis.set_xlabel("rows")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    save(path, figure)
