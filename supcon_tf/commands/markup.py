"""HTML and SVG elements as strings. Text is escaped unless it is an element."""

import html
from collections.abc import Iterable, Iterator

_WITHOUT_CONTENT = {"br", "img", "meta"}


class Markup(str):
    """A string of HTML, which `element` does not escape again."""


Content = str | Iterable["Content"]


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """Returns an element of HTML or SVG.

        >>> element("p", "a < b", element("br"), class_="note")
        '<p class="note">a &lt; b<br></p>'

    Args:
        name: the name of the element.
        *content: elements, texts, and iterables of them.
        **attributes: the attributes. An underscore at the end is dropped and the others become
            hyphens, so that `class_` and `aria_label` are possible. `None` omits an attribute.
    """
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_as_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    closing = "" if name in _WITHOUT_CONTENT else f"</{name}>"
    return Markup(f"<{name}{opening}>{join(*content)}{closing}")


def join(*content: Content) -> Markup:
    """Returns elements and escaped texts one after the other."""
    return Markup("".join(_flatten(content)))


def percent(fraction: float, digits: int = 1) -> str:
    """Returns a fraction in percent, such as `93.5 %`."""
    return f"{100 * fraction:.{digits}f}\N{NO-BREAK SPACE}%"


def plural(count: int, noun: str, plural_noun: str | None = None) -> str:
    """Returns a number with its noun, such as `1 image` or `2,000 images`."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"


def _flatten(content: Iterable[Content]) -> Iterator[str]:
    for part in content:
        if isinstance(part, str):
            yield part if isinstance(part, Markup) else html.escape(part)
        else:
            yield from _flatten(part)


def _as_text(value: str | float) -> str:
    """Returns an attribute as text; numbers have at most two decimals."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
