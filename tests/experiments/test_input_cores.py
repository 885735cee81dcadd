import json
import pathlib

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_the_page_shows_what_the_measurements_give(load_script):
    script = load_script("benchmarks.input_cores")
    measured = json.loads((DOCS / "benchmarks" / "input_pipeline.json").read_text())["measurements"]
    table = script.table(["imagenet_resnet50", "digits_small"], measured)
    header, _, row = table.splitlines()
    page = (DOCS / "scaling.md").read_text()
    assert header in page
    assert row.removeprefix("| `imagenet_resnet50`") in page
    # 8.2 GFLOP are twice the 4.1 billion multiplications of a ResNet-50.
    assert "| 8 TPU v3 cores | `auto_augment` | 3 x 8.2 |" in row
    # 8 x 61.5 TFLOP/s x 0.4 / (3 x 8.2 GFLOP)
    assert "| 8,000 |" in row
