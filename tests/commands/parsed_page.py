"""The elements of a web page."""

import html.parser


class ParsedPage(html.parser.HTMLParser):
    """The elements of a page, all of which must be closed.

    Attributes:
        elements: name, attributes and own text of every element.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append((tag, dict(attributes), []))
        if tag not in ("br", "img", "meta"):
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open:
            self._open[-1][2].append(data)

    def classes(self, tag):
        """The classes of the elements of a name, in their order."""
        return [attributes.get("class") for name, attributes, _ in self.elements if name == tag]

    def texts(self, tag, class_=None):
        """The texts of the elements of a name and a class, in their order."""
        return [
            "".join(text)
            for name, attributes, text in self.elements
            if name == tag and attributes.get("class") == class_
        ]


def assert_stands_alone(text):
    """Requires that a page parses, refers to no file and no server, and describes its pictures."""
    parsed = ParsedPage(text)
    for tag, attributes, _ in parsed.elements:
        assert tag not in ("link", "iframe", "object")
        assert not {"href", "srcset", "xlink:href", "poster"} & attributes.keys()
        assert attributes.get("src", "data:").startswith("data:")
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    assert not any(part in text for part in ("http", "url(", "@import", "fetch("))
    return parsed
