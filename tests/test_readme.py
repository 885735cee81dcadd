import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOT_ALWAYS_INSTALLED = ("onnxruntime", "tf2onnx")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(
        page,
        block,
        id=f"{page.name}-{i}",
        marks=[pytest.mark.versions] if page.name == "README.md" else [],
    )
    for page in PAGES
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_python_blocks_run(page, block, monkeypatch, tmp_path, capsys):
    if "onnx" in block:
        for package in NOT_ALWAYS_INSTALLED:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)  # some write files
    exec(compile(block, "block", "exec"), {})
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row not in page.read_text()] == []
