"""Learning curves."""

import pathlib
from collections.abc import Mapping, Sequence

from experiments.pictures.canvas import COLORS, panels, save


def learning_curves(path: pathlib.Path, losses: Mapping[str, Sequence[float]]) -> None:
    """Draws the training loss of each method against the epoch, side by side.

    Args:
        path: the PNG to write; the SVG has the same name.
        losses: the mean training loss of every epoch for each method. Every method has an axis of
            its own, because different losses have different scales.
    """
    figure, axes = panels(len(losses), height=3)
    for axis, (method, values) in zip(axes, losses.items(), strict=True):
        axis.plot(range(1, len(values) + 1), values, marker=".", color=COLORS[0])
        axis.set(title=method, xlabel="epoch", ylabel="training loss")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid()
    save(path, figure)
