"""Writes docs/results.md and its figures from the lines that trainings of grids left.

    python -m experiments.report

reads docs/results/fashion_mnist_10k.jsonl, which `python -m experiments.ablate` wrote, and
robustness.json beside it, which `python -m experiments.robustness` wrote, and writes for every
table and figure what the papers published, the command for the full size, and what came out here:
the table, its figure, and whether it agrees with the paper in direction.
"""

import importlib
import json
import pathlib
import statistics
import types
from collections.abc import Mapping

from absl import app, flags

from experiments.lib import records, robustness_table

_LINES = flags.DEFINE_string(
    "lines", "docs/results/fashion_mnist_10k.jsonl", "The file of lines, named after their recipe."
)
_OUTPUT = flags.DEFINE_string(
    "output", "docs/results.md", "The page; figures go to the directory of the lines."
)

# The day from which on a random crop whose side exceeds the image is drawn again.
CROPS_CHANGED = "2026-11-26"
EARLIER_CROPS = """
**Earlier crops:** {earlier} of the {all} trainings of the grids clipped a crop that exceeds the
image. The recipe now draws it again, so that crops show less of an image.
"""

# In the order of the page; the recipe at full size that the grid is made of.
GRIDS = {
    "losses": "cifar10_resnet50",
    "label_distributions": "cifar10_resnet50",
    "temperatures": "imagenet_resnet50",
    "batch_sizes": "imagenet_resnet50",
    "epochs": "imagenet_resnet50",
    "positives": "imagenet_resnet50",
    "optimizers": "imagenet_resnet50",
    "augmentations": "imagenet_resnet50",
}
# A difference of accuracies that another seed may turn round.
NOISE = 0.005
# What is published without a grid, and the commands.
PUBLISHED = pathlib.Path(__file__).with_name("published")
BEGIN = """# Results

Every table and figure of both papers of which a grid of trainings is made: what is published, the
command for the full size, and what comes out small. Accuracy after the last epoch on the test set,
mean and standard deviation over the seeds; in the small trainings a difference below {noise}
is noise. What was trained with one seed says where it lies, not what is better.

The small trainings: the recipe `experiments/configs/{recipe}.py`, 10,000 images of Fashion-MNIST,
on two CPU cores with other work beside, for which some trainings were halted: their minutes count
the halt. Of each grid they are made with

```shell
python -m experiments.ablate --grid=GRID --config=experiments/configs/{recipe}.py
```

and this page, from [their lines]({lines}), with `python -m experiments.report`.
"""


def note_on_crops(lines: Mapping[str, records.Line]) -> str:
    """Returns a sentence on the trainings before `CROPS_CHANGED`; an empty one without any."""
    earlier = sum(line["finished"] < CROPS_CHANGED for line in lines.values())
    return EARLIER_CROPS.format(earlier=earlier, all=len(lines)) if earlier else ""


def section(
    name: str, grid: types.ModuleType, lines: Mapping[str, records.Line], recipe: str
) -> str:
    """Writes the section of a grid.

    Args:
        name: of the grid.
        grid: its module.
        lines: of all trainings, by their key.
        recipe: the name of the recipe that they were made with.

    Returns:
        Markdown, without the figure.
    """
    subject, _, published = grid.__doc__.strip().partition("\n")
    text = f"\n## {subject.rstrip('.')}\n{published}\n\nAt full size:\n\n```shell\n"
    text += f"python -m experiments.ablate --grid={name} \\\n"
    text += f"    --config=experiments/configs/{GRIDS[name]}.py --change=data_dir=DIRECTORY\n```\n"
    table = records.table(grid.ROWS, lines, recipe)
    if len(table.splitlines()) == 2:
        return text + "\nNot trained here.\n"
    text += f"\nSmall:\n\n{table}"
    verdicts = [verdict(claim, grid, lines, recipe) for claim in grid.CLAIMS]
    if any(verdicts):
        text += "\n| what the papers find | difference here | |\n|---|---|---|\n" + "".join(
            verdicts
        )
    return text


def verdict(claim, grid: types.ModuleType, lines: Mapping, recipe: str) -> str:
    """Writes the row of a claim; nothing if it was not trained."""
    means = []
    for name in (claim.better, claim.worse):
        (row,) = (each for each in grid.ROWS if each.name == name)
        done = records.of_row(lines, recipe, row, grid.ROWS)
        if not done:
            return ""
        means.append(statistics.mean(line["test"]["accuracy"] for line in done))
    difference = means[0] - means[1]
    agrees = "agrees" if difference > 0 else "does not agree"
    agrees = f"{agrees}, within the noise" if abs(difference) < NOISE else f"**{agrees}**"
    return f"| {claim.text} | {difference:+.4f} | {agrees} |\n"


def curves(grid: types.ModuleType, lines: Mapping, recipe: str) -> dict[str, list]:
    """Collects the points of a figure.

    Returns:
        For each series its points: x, the mean accuracy, and its standard deviation or `None`.
    """
    series: dict[str, list] = {}
    for row in grid.ROWS:
        done = records.of_row(lines, recipe, row, grid.ROWS)
        if row.x is not None and done:
            accuracies = [line["test"]["accuracy"] for line in done]
            deviation = statistics.stdev(accuracies) if len(done) > 1 else None
            point = row.x, statistics.mean(accuracies), deviation
            series.setdefault(row.series, []).append(point)
    return series


def robustness_section(robustness: Mapping | None) -> str:
    """Writes the section of corruptions from what robustness.json holds."""
    text = f"\n{(PUBLISHED / 'corruptions.md').read_text()}\n"
    if robustness is None:
        return f"{text}Not measured here.\n"
    figures = robustness["classifiers"]
    supcon, baseline = (figures[name]["mean"] for name in ("SupCon", "cross-entropy"))
    text += f"Small, over {len(robustness['corruptions'])} corruptions of test images, with errors "
    text += f"relative to those of {robustness['reference']}:\n\n"
    text += robustness_table.table(figures)
    text += "\n| | severities 1 to 5, SupCon minus cross-entropy |\n|---|---|\n"
    for name, label in (("accuracy", "accuracy"), ("ece", "calibration error")):
        pairs = zip(supcon[name], baseline[name], strict=True)
        text += f"| {label} | {', '.join(f'{a - b:+.4f}' for a, b in pairs)} |\n"
    return text


def main(argv: list[str]) -> None:
    """Writes the page and its figures."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    from experiments import pictures
    from experiments.lib import files

    path, output = pathlib.Path(_LINES.value), pathlib.Path(_OUTPUT.value)
    if not path.is_file():
        raise FileNotFoundError(f"`--lines` must be a file of lines. Received: {path}")
    lines, recipe = records.read(path), path.stem
    beside = path.relative_to(output.parent)
    text = BEGIN.format(recipe=recipe, lines=beside, noise=NOISE)
    text += note_on_crops(lines)
    for name in GRIDS:
        grid = importlib.import_module(f"experiments.grids.{name}")
        text += section(name, grid, lines, recipe)
        points = curves(grid, lines, recipe)
        if points:
            pictures.curves(
                path.with_name(f"{name}.png"),
                points,
                x_label=grid.X_LABEL,
                y_label="test accuracy",
                logarithmic=True,
            )
            text += f"\n![Accuracy against {grid.X_LABEL}]({beside.with_name(f'{name}.png')})\n"
    robustness = path.with_name("robustness.json")
    text += robustness_section(json.loads(robustness.read_text()) if robustness.exists() else None)
    if robustness.exists():
        picture = beside.with_name("robustness.png")
        text += f"\n![Accuracy and calibration error against severity]({picture})\n"
    files.write_atomically(
        output, lambda name: name.write_text(f"{text}\n{(PUBLISHED / 'others.md').read_text()}")
    )


if __name__ == "__main__":
    app.run(main)
