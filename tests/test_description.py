"""The long description of the package, which an index shows without the repository beside it."""

import pathlib
import re
import runpy

import pytest

import supcon_tf

ROOT = pathlib.Path(__file__).parents[1]
without_relative_links = runpy.run_path(str(ROOT / "setup.py"))["without_relative_links"]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("See [the guide](docs/losses.md#views).", "See the guide."),
        ("It resumes ([how](docs/resuming.md)).", "It resumes."),
        ("It resumes\n([how](docs/resuming.md)), too.", "It resumes, too."),
        ("One.\n\n![a picture](docs/a.png)\n\nTwo.", "One.\n\nTwo."),
        ("| [yes](docs/a.md) | [no](https://b.org/c) |", "| yes | [no](https://b.org/c) |"),
        ("[above](#installation), [mail](mailto:a@b.org)",) * 2,
    ],
)
def test_only_links_into_the_repository_disappear(markdown, expected):
    assert without_relative_links(markdown) == expected


def test_no_relative_link_reaches_the_description():
    description = without_relative_links((ROOT / "README.md").read_text())
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


def test_relative_links_of_the_readme_exist():
    targets = re.findall(r"\]\((?!https:)([^)#]+)", (ROOT / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_citation_names_the_version_of_the_library():
    (version,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert version == supcon_tf.__version__
