"""Figures against a number."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from experiments.pictures.canvas import COLORS, MARKERS, new_figure, save

_LINE_STYLES = ("-", "--", "-.", ":")


def curves(
    path: pathlib.Path,
    series: Mapping[str, Sequence[tuple[float, float, float | None]]],
    x_label: str,
    y_label: str,
    *,
    title: str = "",
    logarithmic: bool = False,
) -> None:
    """Draws several series against the same numbers, as ablations do.

    Args:
        path: the PNG to write, beside which an SVG is written.
        series: for each name points `(x, mean, standard deviation)` in any order, the last one
            `None` where there is but one value.
        x_label: what x is, with its unit.
        y_label: what the means are, with their unit.
        title: of the picture.
        logarithmic: whether x grows by factors; then the given x are the ticks.

    Raises:
        ValueError: if a series has no points, or `logarithmic` and an x is not above 0.
    """
    all_x = [x for points in series.values() for x, _, _ in points]
    if not series or not all(series.values()) or (logarithmic and min(all_x) <= 0):
        raise ValueError(
            "`series` must have points, of x above 0 if `logarithmic`. "
            f"Received: {dict(series)}, logarithmic={logarithmic}"
        )
    figure = new_figure(4)
    axis = figure.subplots()
    styles = zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), itertools.cycle(_LINE_STYLES))
    for (name, points), (color, marker, line) in zip(series.items(), styles, strict=False):
        x, mean, deviation = np.array(sorted(points), float).T  # None becomes NaN: no error bar
        axis.errorbar(
            x, mean, deviation, color=color, marker=marker, linestyle=line, capsize=3, label=name
        )
    axis.set(title=title, xlabel=x_label, ylabel=y_label)
    axis.grid()
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(FixedLocator(sorted(set(all_x))))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
    if len(series) > 1:
        figure.legend(loc="outside lower center", ncols=min(len(series), 4))
    save(path, figure)
