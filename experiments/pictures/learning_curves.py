"""How a training went."""

import pathlib
from collections.abc import Mapping, Sequence

from experiments.pictures.canvas import COLORS, panels, save


def learning_curves(path: pathlib.Path, losses: Mapping[str, Sequence[float]]) -> None:
    """Draws the training loss of each method against the epoch, side by side.

    Args:
        path: the PNG to write, beside which an SVG is written.
        losses: for each method the mean training loss of every epoch. The scales of different
            losses cannot be compared, so each has its own axis.
    """
    figure, axes = panels(len(losses), height=3)
    for axis, (method, values) in zip(axes, losses.items(), strict=True):
        axis.plot(range(1, len(values) + 1), values, marker=".", color=COLORS[0])
        axis.set(title=method, xlabel="epoch", ylabel="training loss")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid()
    save(path, figure)
