"""The scripts of examples/, run as they are; what they print is what their docstrings promise."""

import importlib.util
import pathlib
import re

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
# Of each script the line to look at, the least that its last number must be, and the line that it
# must beat, where the script says so by a margin.
PROMISES = {
    "early_stopping": ("k-NN on test images", 0.95, None),  # chance: 0.1
    "existing_model": ("SupCon", 0.93, None),  # chance: 0.1
    "fine_tuning": ("fine-tuned backbone", 0.72, "frozen backbone"),  # chance: 0.2
    "imbalanced": (
        "ordinary batches, balanced classifier",
        0.86,  # chance: 0.1
        "ordinary batches, ordinary classifier",
    ),
    "multi_label": ("SupCon", 0.94, "pixels"),  # chance: 0.4
    "semi_supervised": ("all images", 0.82, "labeled images"),  # chance: 0.1
    "tabular": ("SupCon", 0.57, "the table itself"),  # chance: 0.25
    "text": ("SupCon", 0.7, None),  # chance: 0.23; the texts change with scikit-learn
}

TOLERANCE = 0.02


def source(name):
    return (EXAMPLES / f"{name}.py").read_text()


def run(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()


@pytest.mark.parametrize("name", SCRIPTS)
def test_is_short_and_names_its_command(name):
    assert len(source(name).splitlines()) <= 80
    assert f"    python examples/{name}.py\n" in source(name)
    assert f"[`{name}.py`]({name}.py)" in (EXAMPLES / "README.md").read_text()


@pytest.mark.docs
@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_keeps_its_promise(name, capsys):
    run(name)
    printed = capsys.readouterr().out.splitlines()
    # Last digits differ with processor and versions; everything else is as in the docstring.
    number = re.compile(r"\d\.\d+")
    promised = re.findall(r"^    (.*: .*\d\.\d+.*)$", source(name), re.MULTILINE)
    assert [number.sub("N", line) for line in printed] == [number.sub("N", x) for x in promised]
    printed_numbers, promised_numbers = (
        [float(x) for line in lines for x in number.findall(line)] for lines in (printed, promised)
    )
    assert printed_numbers == pytest.approx(promised_numbers, abs=TOLERANCE)
    results = {line.split(":")[0]: float(number.findall(line)[-1]) for line in printed}
    best, floor, beaten = PROMISES[name]
    assert results[best] >= floor
    if beaten is not None:
        assert results[best] > results[beaten]
