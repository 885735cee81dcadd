"""Charts as SVG: scales, axes, lines and bars."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from supcon_tf.commands.markup import Markup, element
from supcon_tf.commands.page import CLASS_COLORS

# The shape of a marker around the current point, in pixels. Together with the colors they make
# more looks than a legend has entries.
_MARKERS = (
    "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0",
    "m-2.9 -2.9h5.8v5.8h-5.8z",
    "m0 -3.7l3.6 6.3h-7.2z",
    "m0 -4l4 4l-4 4l-4 -4z",
    "m0 3.7l3.6 -6.3h-7.2z",
    "m-1.3 -3.6h2.6v2.3h2.3v2.6h-2.3v2.3h-2.6v-2.3h-2.3v-2.6h2.3z",
)
LOOKS = math.lcm(CLASS_COLORS, len(_MARKERS))


class Axes(NamedTuple):
    """The area of a chart, in the units of its data and of the picture.

    Attributes:
        x: the smallest and the largest x.
        y: the smallest and the largest y.
        width: width of the picture.
        height: height of the picture.
        left: space at the left, for labels.
        bottom: space at the bottom, for labels.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 340
    height: float = 270
    left: float = 56
    bottom: float = 44

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Returns the position of a point in the picture."""
        right, top = 20, 10
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + across * (self.width - self.left - right),
            self.height - self.bottom - up * (self.height - self.bottom - top),
        )


def chart(axes: Axes, description: str, *marks: Markup) -> Markup:
    """Returns a picture of marks, such as `grid` and `line`.

    Args:
        axes: the axes that placed the marks.
        description: what the picture shows, for those who do not see it.
        *marks: the marks, the lowest first.
    """
    return element(
        "svg",
        marks,
        viewBox=f"0 0 {axes.width:g} {axes.height:g}",
        role="img",
        aria_label=description,
    )


def grid(
    axes: Axes,
    x_label: str,
    y_label: str,
    *,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    x_format: Callable[[float], str] = "{:g}".format,
    y_format: Callable[[float], str] = "{:g}".format,
) -> Markup:
    """Returns the lines, numbers and names of both axes."""
    (left, bottom), (right, top) = (
        axes.place(axes.x[0], axes.y[0]),
        axes.place(axes.x[1], axes.y[1]),
    )
    parts = [element("path", d=f"M{left:g} {top:g}V{bottom:g}H{right:g}", class_="grid")]
    for tick in y_ticks:
        _, y = axes.place(0, tick)
        parts += [
            element("path", d=f"M{left:g} {y:.1f}H{right:g}", class_="grid"),
            element("text", y_format(tick), x=left - 6, y=y + 4, text_anchor="end"),
        ]
    for tick in x_ticks:
        x, _ = axes.place(tick, 0)
        parts += [
            element("path", d=f"M{x:.1f} {bottom:g}v4", class_="grid"),
            element("text", x_format(tick), x=x, y=bottom + 17, text_anchor="middle"),
        ]
    middle = (top + bottom) / 2
    parts += [
        element("text", x_label, x=(left + right) / 2, y=axes.height - 8, text_anchor="middle"),
        element(
            "text",
            y_label,
            x=12,
            y=middle,
            text_anchor="middle",
            transform=f"rotate(-90 12 {middle:g})",
        ),
    ]
    return element("g", parts)


def line(
    axes: Axes,
    points: Iterable[tuple[float, float]],
    color: str = "var(--accent)",
    *,
    dashed: bool = False,
) -> Markup:
    """Returns a line through points."""
    places = (axes.place(x, y) for x, y in points)
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return element("path", d=path, stroke=color, class_="line dashed" if dashed else "line")


def bar(axes: Axes, first: float, last: float, height: float, title: str) -> Markup:
    """Returns a bar from the bottom of the axes, with a name that a pointer shows."""
    left, top = axes.place(first, height)
    right, bottom = axes.place(last, axes.y[0])
    return element(
        "rect",
        element("title", title),
        x=left + 0.5,
        y=top,
        width=right - left - 1,
        height=bottom - top,
        fill="var(--accent)",
    )


def marker(x: float, y: float, look: int | None = None, title: str = "", color: str = "") -> Markup:
    """Returns a point of the picture with a name that a pointer shows.

    Args:
        x: position in the picture.
        y: position in the picture.
        look: number of the color and shape, or `None` for a small gray point.
        title: the name.
        color: a color instead of that of `look`.
    """
    if look is None:
        shape, color = "m-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0", color or "var(--other)"
    else:
        shape = _MARKERS[look % len(_MARKERS)]
        color = color or f"var(--class-{look % CLASS_COLORS})"
    return element(
        "path",
        element("title", title) if title else "",
        d=f"M{x:.1f} {y:.1f}{shape}",
        fill=color,
        class_="dot",
    )


def key(entries: Iterable[tuple[Markup, str]]) -> Markup:
    """Returns the key of a chart.

    Args:
        entries: a mark around the point (12, 7) of 24 by 14 pixels, and its name.
    """
    return element(
        "ul",
        (
            element("li", element("svg", mark, viewBox="0 0 24 14", aria_hidden="true"), name)
            for mark, name in entries
        ),
        class_="key",
    )


def key_line(color: str = "var(--accent)", *, dashed: bool = False) -> Markup:
    """Returns the mark of a line in a key."""
    return element("path", d="M1 7H23", stroke=color, class_="line dashed" if dashed else "line")


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Returns about `count` round numbers between two numbers.

    >>> round_ticks(0, 97)
    [0, 20, 40, 60, 80]
    """
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
