"""Formulas of the pages as MathML, which browsers draw themselves: no script, no network."""

import html
import re

from latex2mathml.converter import convert

# What the arithmatex extension leaves of $...$ and of $$...$$.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAYED = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_) -> str:
    """Replaces the LaTeX of a page's HTML; mkdocs calls it."""
    content = INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
    return DISPLAYED.sub(lambda found: convert(html.unescape(found[1]), display="block"), content)
