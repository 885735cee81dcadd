"""Accuracies, or other means, against a number."""

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
    """Draws several series against the same numbers, for example the results of an ablation.

    Args:
        path: the PNG to write; the SVG has the same name.
        series: the points `(x, mean, standard deviation)` of each series in any order. The standard
            deviation is `None` for a single value.
        x_label: the quantity x with its unit.
        y_label: the quantity of the means with its unit.
        title: the title of the picture.
        logarithmic: whether the x axis is logarithmic, with a tick at every x.

    Raises:
        ValueError: if a series has no points, or an x on a logarithmic axis is not positive.
    """
    all_x = [x for points in series.values() for x, _, _ in points]
    if not series or not all(series.values()) or (logarithmic and min(all_x) <= 0):
        raise ValueError(
            "`series` must have points, with positive x if `logarithmic`. "
            f"Received: {dict(series)}, logarithmic={logarithmic}"
        )
    figure = new_figure(4)
    axis = figure.subplots()
    styles = zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), itertools.cycle(_LINE_STYLES))
    for (name, points), (color, marker, line) in zip(series.items(), styles, strict=False):
        x, mean, deviation = np.array(sorted(points), float).T  # None becomes NaN.
        axis.errorbar(
            x,
            mean,
            None if np.isnan(deviation).all() else deviation,  # The key shows no missing bar.
            color=color,
            marker=marker,
            linestyle=line,
            capsize=3,
            label=name,
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
