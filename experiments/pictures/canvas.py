"""What all pictures share: size, colors, marks, and the files that they are written to."""

import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.lib.files import write_atomically

WIDTH = 8.3  # inches: letters of 10 points are as large as text where it is shown 830 pixels wide
_DPI = 150
# Ten colors that those with a color vision deficiency can tell apart (Petroff, 2021,
# https://arxiv.org/abs/2107.02270). None stands alone: a marker, a line style or a name goes along.
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
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "supcon_tf",  # the same picture is the same file
    }
)


def new_figure(height: float) -> Figure:
    """Makes an empty figure, `height` inches high, whose parts make room for each other."""
    return Figure((WIDTH, height), layout="constrained")


def columns_for(count: int) -> int:
    """How many of `count` equal axes stand side by side, three at most."""
    return 2 if count == 4 else min(count, 3)


def panels(count: int, height: float, **arguments: Any) -> tuple[Figure, Iterator[Axes]]:
    """Makes a figure of equal axes, in columns as `columns_for` says.

    Args:
        count: how many.
        height: of each row, in inches.
        **arguments: as of `Figure.subplots`.

    Returns:
        The figure and its axes, row by row.
    """
    columns = columns_for(count)
    rows = -(-count // columns)
    figure = new_figure(rows * height)
    axes = figure.subplots(rows, columns, squeeze=False, **arguments).ravel()
    for unused in axes[count:]:
        unused.remove()
    return figure, iter(axes[:count])


def save(path: pathlib.Path, figure: Figure) -> None:
    """Writes a figure as PNG and as SVG, each of which is either whole or not there.

    Args:
        path: the file to write; its suffix is replaced by `.png` and by `.svg`.
        figure: what to draw.
    """
    for suffix, metadata in ((".png", None), (".svg", {"Date": None})):
        write_atomically(
            path.with_suffix(suffix),
            lambda name, metadata=metadata: figure.savefig(name, dpi=_DPI, metadata=metadata),
        )
