"""Writes the long description of the package: the README, without links into the repository."""

import pathlib
import re

from setuptools import setup

README = pathlib.Path(__file__).with_name("README.md")
# A target of a link that is a path: neither an address, nor a place on the same page.
PATH = r"\((?![a-z]+:|#)[^)\s]+\)"


def without_relative_links(markdown: str) -> str:
    """Removes what a page outside of the repository cannot show or follow.

    Images disappear. A link becomes its text, or disappears if it is all that parentheses hold,
    such as `([how](docs/resuming.md))`.
    """
    markdown = re.sub(rf"^!\[[^\]]*\]{PATH}\n\n?", "", markdown, flags=re.MULTILINE)
    markdown = re.sub(rf"\s\(\[[^\]]*\]{PATH}\)", "", markdown)
    return re.sub(rf"\[([^\]]*)\]{PATH}", r"\1", markdown)


if __name__ == "__main__":
    setup(
        long_description=without_relative_links(README.read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
