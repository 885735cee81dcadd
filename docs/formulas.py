"""Formulas of the pages as MathML, which browsers draw themselves: no script, no network."""

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

# What the arithmatex extension leaves of $...$ and of $$...$$.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAYED = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
CODE_OR_TAG = re.compile(r"<pre\b.*?</pre>|<code\b.*?</code>|<[^>]*>", re.DOTALL)
# Outside of code, a reader sees these only where neither of the two found the formula.
LEFT_AS_TYPED = re.compile(r".{0,40}(?:\$|\\\(|\\\[).{0,40}")


def on_page_content(content: str, page, **_) -> str:
    """Replaces the LaTeX of a page's HTML; mkdocs calls it.

    Raises:
        PluginError: if a formula is left as it was typed, such as `$N = $ views`: arithmatex
            ignores a `$` beside a space.
    """
    content = INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
    content = DISPLAYED.sub(
        lambda found: convert(html.unescape(found[1]), display="block"), content
    )
    left = LEFT_AS_TYPED.search(CODE_OR_TAG.sub("", content))
    if left:
        raise PluginError(
            "A formula must have no space after its first `$` and before its last one. "
            f"Received: {left[0]!r} in {page.file.src_uri}"
        )
    return content
