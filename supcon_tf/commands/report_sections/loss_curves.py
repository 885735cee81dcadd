"""The losses of both stages of the training."""

import math
import pathlib
from typing import NamedTuple

from supcon_tf.commands.chart import Axes, chart, grid, key, key_line, line, marker, round_ticks
from supcon_tf.commands.epoch_log import read_epoch_log
from supcon_tf.commands.markup import Markup, element
from supcon_tf.commands.page import note, section

STAGES = (("pretraining", "Contrastive stage"), ("classifier", "Linear classifier"))
Curve = list[tuple[float, float]]


class _Series(NamedTuple):
    """The name of a column of the log, and how it is drawn."""

    column: str
    name: str
    color: str
    dashed: bool


_SERIES = (
    _Series("loss", "training images", "var(--accent)", False),
    _Series("val_loss", "validation images", "var(--class-1)", True),
)


def loss_curves(run_dir: pathlib.Path) -> Markup:
    """Returns a section with the losses in the logs of a run."""
    return section(
        "Losses",
        element(
            "div",
            (
                _figure(title, read_losses(run_dir / directory / "log.csv"))
                for directory, title in STAGES
            ),
            class_="charts",
        ),
    )


def read_losses(path: pathlib.Path) -> dict[str, Curve]:
    """Reads the finite losses of a log as points of the epoch, from 1, and the loss.

    Returns:
        The points of `loss` and, if there is one, of `val_loss`. A missing file has none.
    """
    rows = read_epoch_log(path)
    curves = {}
    for name in (series.column for series in _SERIES):
        points = [(float(row["epoch"]) + 1, float(row[name])) for row in rows if name in row]
        if points := [point for point in points if math.isfinite(point[1])]:
            curves[name] = points
    return curves


def _figure(title: str, curves: dict[str, Curve]) -> Markup:
    if not curves:
        return element("figure", element("h3", title), note("The log has no finite losses."))
    drawn = [(curves[series.column], series) for series in _SERIES if series.column in curves]
    epochs, losses = zip(*(point for points, _ in drawn for point in points), strict=True)
    margin = 0.06 * (max(losses) - min(losses)) or 0.5
    axes = Axes(
        (min(epochs), max(epochs)) if len(set(epochs)) > 1 else (epochs[0] - 0.5, epochs[0] + 0.5),
        (min(losses) - margin, max(losses) + margin),
    )
    picture = chart(
        axes,
        f"{title}: loss against the epoch, from {min(losses):.3g} to {max(losses):.3g}",
        grid(
            axes,
            "epoch",
            "loss",
            x_ticks=[tick for tick in round_ticks(*axes.x) if tick == int(tick)],
            y_ticks=round_ticks(*axes.y),
        ),
        *(line(axes, points, series.color, dashed=series.dashed) for points, series in drawn),
        *(
            marker(*axes.place(*points[-1]), 0, f"{points[-1][1]:.4g}", color=series.color)
            for points, series in drawn
        ),
    )
    names = key((key_line(series.color, dashed=series.dashed), series.name) for _, series in drawn)
    return element("figure", element("h3", title), picture, names)
