"""What all pictures share: the size, the colors, the markers, and how they are written."""

import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.lib.files import write_atomically

WIDTH = 8.3  # Inches. At 830 pixels, a font of 10 points has the size of the text around it.
_DPI = 150
# Ten colors that are distinguishable with a color vision deficiency (Petroff, 2021,
# https://arxiv.org/abs/2107.02270). A marker, a line style or a name always accompanies a color.
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")

matplotlib.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "font.size": 10,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "legend.borderaxespad": 0.2,
        "svg.fonttype": "none",  # Text remains text.
        "svg.hashsalt": "supcon_tf",  # Files of equal pictures are equal.
    }
)


def new_figure(height: float) -> Figure:
    """Creates an empty figure of `height` inches with a constrained layout."""
    return Figure((WIDTH, height), layout="constrained")


def columns_for(count: int) -> int:
    """Returns the number of columns for `count` equal axes, at most three."""
    return 2 if count == 4 else min(count, 3)


def panels(count: int, height: float, **arguments: Any) -> tuple[Figure, Iterator[Axes]]:
    """Creates a figure of equal axes in the columns of `columns_for`.

    Args:
        count: number of axes.
        height: height of a row in inches.
        **arguments: arguments of `Figure.subplots`.

    Returns:
        The figure, and its axes row by row.
    """
    columns = columns_for(count)
    rows = -(-count // columns)
    figure = new_figure(rows * height)
    axes = figure.subplots(rows, columns, squeeze=False, **arguments).ravel()
    for unused in axes[count:]:
        unused.remove()
    return figure, iter(axes[:count])


def save(path: pathlib.Path, figure: Figure) -> None:
    """Writes a figure as PNG and as SVG, each completely or not at all.

    Args:
        path: the file to write; `.png` and `.svg` replace its suffix.
        figure: the figure.
    """
    for suffix, metadata in ((".png", None), (".svg", {"Date": None})):
        write_atomically(
            path.with_suffix(suffix),
            lambda name, metadata=metadata: figure.savefig(name, dpi=_DPI, metadata=metadata),
        )
