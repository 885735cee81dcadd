"""The hook that draws the formulas of the documentation; `make site` installs what it needs."""

import importlib.util
import pathlib
import types

import pytest

markdown = pytest.importorskip("markdown")
pytest.importorskip("latex2mathml")
pytest.importorskip("mkdocs")
pytest.importorskip("pymdownx")

HOOK = pathlib.Path(__file__).parents[1] / "docs" / "formulas.py"
PAGE = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="page.md"))


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("formulas", HOOK)
    formulas = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formulas)
    extensions = ["pymdownx.arithmatex", "pymdownx.superfences"]
    configs = {"pymdownx.arithmatex": {"generic": True}}

    def render(text):
        content = markdown.markdown(text, extensions=extensions, extension_configs=configs)
        return formulas.on_page_content(content, page=PAGE)

    return render


def test_formulas_become_mathml(render):
    page = render("A batch of $N < 3$ rows.\n\n$$\\sqrt{2}$$\n")
    assert page.count("<math") == 2
    assert "<msqrt>" in page
    assert "&#x0003C;" in page or "&lt;" in page
    assert "$" not in page


def test_code_keeps_its_dollars(render):
    assert "$HOME" in render("Type `cd $HOME`.\n\n```shell\necho $N = $ views\n```\n")


@pytest.mark.parametrize("text", ["where $N = $ views", "where $ N$ is", "a price of 3$"])
def test_formulas_left_as_typed_stop_the_build(render, text):
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"Received: .*\$.* in page.md"):
        render(text)
