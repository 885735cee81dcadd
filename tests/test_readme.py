import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block that several pages show runs once, as part of the first one.
PAGE_OF = {}
for page in PAGES:
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
        PAGE_OF.setdefault(block, f"{page.name}-{i}")
BLOCKS = [
    pytest.param(
        block,
        id=name,
        marks=[pytest.mark.versions] if name.startswith("README.md") else [],
    )
    for block, name in PAGE_OF.items()
]


# A few steps of a small model, operation by operation, take less long than compiling them.
FEW_STEPS = ("label_distributions.md", "quickstart.md-2", "scaling.md")


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_run(block, monkeypatch, tmp_path, request):
    if request.node.callspec.id.startswith(FEW_STEPS):
        request.getfixturevalue("uncompiled")
    monkeypatch.chdir(tmp_path)  # some write files
    exec(compile(block, "block", "exec"), {})
