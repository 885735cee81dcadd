"""Writes docs/results.md and its figures from the records of grids.

    python -m experiments.report

reads docs/results/fashion_mnist_10k.jsonl, which `python -m experiments.ablate` wrote, and
robustness.json in the same directory, which `python -m experiments.robustness` wrote. For every
table and figure of the papers the page has the published values, the command for the full size, the
table and the figure of the small trainings, and whether their differences have the published sign.
The records of trainings with few labels are in digits_small.jsonl in the same directory, those of
trainings on color images in cifar10_small.jsonl, with cifar10_small_robustness.json and the results
of `python -m experiments.evaluate` in cifar10_small_transfer/, and those of trainings beside the
reference code in reference_training.jsonl.
"""

import importlib
import json
import pathlib
import statistics
import types
from collections.abc import Mapping

from absl import flags

from experiments.grids import labels, methods, selection
from experiments.lib import training_records
from experiments.lib.command_line import check_arguments, run
from experiments.lib.files import read_json_lines
from experiments.lib.grid_tables import NOISE, tables_of_trainings, trained_rows
from experiments.lib.intervals import difference_interval
from experiments.lib.tables import (
    accuracy_table,
    markdown_table,
    mean_and_deviation,
    reference_table,
    robustness_by_severity,
    robustness_table,
)
from experiments.lib.training_records import Record

_RECORDS = flags.DEFINE_string(
    "records",
    "docs/results/fashion_mnist_10k.jsonl",
    "The file of records, with the name of their recipe.",
)
_OUTPUT = flags.DEFINE_string(
    "output", "docs/results.md", "The page to write. Figures go to the directory of the records."
)

# Since this day, a random crop whose side exceeds the image is sampled again.
CROPS_CHANGED = "2026-11-26"
EARLIER_CODE = """
**Earlier code:** {earlier} of the {all} trainings of the grids clipped a crop that exceeds the
image. The recipe now samples it again, so that crops show less of the image. Some of their sums had
no fixed order on a CPU, which changes an accuracy about as much as another seed.
"""

# The grids in the order of the page, and their recipe at full size.
GRIDS = {
    "losses": "cifar10_resnet50",
    "label_distributions": "cifar10_resnet50",
    "temperatures": "imagenet_resnet50",
    "batch_sizes": "imagenet_resnet50",
    "epochs": "imagenet_resnet50",
    "positives_per_anchor": "imagenet_resnet50",
    "optimizers": "imagenet_resnet50",
    "augmentations": "imagenet_resnet50",
}
COLOR = "cifar10_small"  # The recipe of the small trainings on color images, and its grids.
COLOR_GRIDS = (
    "methods",
    "summations",
    "training_length",
    "encoder_widths",
    "temperatures",
    "positives_per_anchor",
    "batch_sizes",
    "stability",
    "stability_trainings",
    "label_distributions_long",
    "mixing",
    "few_labels",
    "long_tail",
    "label_noise",
)
FEW_LABELS = "digits_small"  # The recipe of the grid `labels`, which the papers do not have.
# The data sets on which the encoders of `methods` are tested.
TRANSFERRED = ("cifar10", "fashion_mnist", "digits")
HOLD_OUT = 5000  # The number of training images that the grid `selection` tests on.
PUBLISHED = pathlib.Path(__file__).with_name("published")  # Text, and results that have no grid.
BEGIN = """# Results

This page compares the tables and figures of both papers with small trainings on two CPU cores: on
CIFAR-10, on Fashion-MNIST, and with few labels on digits. They show whether a claim of the papers
also holds for small encoders and trainings of minutes. The sections on Fashion-MNIST also list the
command that trains the same rows at full size. Published values are listed once.

A section has the results of a grid: a list of trainings that change fields of a recipe. The first
table lists

- the test accuracy after the last epoch: the mean and the standard deviation over the seeds;
- the number of seeds;
- the minutes of a training, including pauses of some trainings; without the time before a training
  was resumed.

A second table lists claims, with their place in a paper if they are from one. Each claim states
that one row is better than another. The table lists the difference of their mean accuracies, and
its 95 % confidence interval by Welch's method if both rows have several seeds. If the interval
contains 0, the difference is within the noise: other seeds can reverse its sign. So is a difference
below {noise} without an interval. A row with a single seed shows only the order of magnitude.

`python -m experiments.report` writes this page.
"""
BEGIN_COLOR = """
## CIFAR-10

The recipe `experiments/configs/{recipe}.py` trains on 10,000 images of CIFAR-10 that were
compressed as JPEG of quality 75, which costs a little accuracy. Cross-entropy trains on one view of
each image for twice the epochs, as many forward passes. This command trains the rows of a section:

```shell
python -m experiments.ablate --grid=GRID --config=experiments/configs/{recipe}.py \\
    --change=data_dir=DIRECTORY --seeds=0,1,2
```

Some sections have other seeds. [The records]({records}) list every training.
"""
BEGIN_GRAY = """
## Fashion-MNIST

The recipe `experiments/configs/{recipe}.py` trains on 10,000 images of Fashion-MNIST. This command
trains the rows of a section:

```shell
python -m experiments.ablate --grid=GRID --config=experiments/configs/{recipe}.py
```

[The records]({records}) list every training.
"""
BEGIN_ROBUSTNESS = """The classifiers of the methods above, on corrupted test images:

```shell
python -m experiments.robustness --dataset=cifar10 --data_dir=DIRECTORY --images=2000 \\
    --classifier=SupCon=FILE ... --classifier=cross-entropy=FILE ... --reference=cross-entropy
```
"""
BEGIN_TRANSFER = """The encoders of the methods above, on the gray images of other data sets: the
test accuracy of a logistic regression on their representations. On CIFAR-10 itself, it trains on
the same 10,000 images as the encoders (`--train_images=10000`). This command evaluates one encoder
on one data set:

```shell
python -m experiments.evaluate --dataset=DATASET --data_dir=DIRECTORY \\
    --encoder=runs/ablate/{recipe}/records/RUN/encoder.keras \\
    --output=docs/results/{recipe}_transfer/DATASET/RUN.json
```
"""


def note_on_earlier_code(records: Mapping[str, Record]) -> str:
    """Returns a note on the trainings before `CROPS_CHANGED`, or an empty string without any."""
    earlier = sum(record["finished"] < CROPS_CHANGED for record in records.values())
    return EARLIER_CODE.format(earlier=earlier, all=len(records)) if earlier else ""


def grid_section(
    name: str, grid: types.ModuleType, records: Mapping[str, Record], recipe: str
) -> str:
    """Writes the section of a grid, without its figure.

    Args:
        name: the name of the grid.
        grid: the module of the grid.
        records: the records of all trainings by their keys.
        recipe: the name of the recipe of the trainings.
    """
    subject, _, published = grid.__doc__.strip().partition("\n")
    text = f"\n### {subject.rstrip('.')}\n{published}\n\nCommand for the full size:\n\n```shell\n"
    text += f"python -m experiments.ablate --grid={name} \\\n"
    text += f"    --config=experiments/configs/{GRIDS[name]}.py --change=data_dir=DIRECTORY\n```\n"
    if not trained_rows(grid, records, recipe):
        return text + "\nNot trained here.\n"
    return f"{text}\nSmall trainings:\n\n{tables_of_trainings(grid, records, recipe)}"


def color_section(
    path: pathlib.Path, page: pathlib.Path, records: Mapping[str, Record], recipe: str
) -> str:
    """Writes the section of the small trainings on color images, and draws its figures.

    Args:
        path: the file of records. Figures go to the same directory.
        page: the page that shows them.
        records: the records of all trainings by their keys.
        recipe: the name of the recipe of the trainings.
    """
    text = BEGIN_COLOR.format(recipe=recipe, records=path.relative_to(page.parent))
    text += f"\n{(PUBLISHED / 'color_summary.md').read_text()}"
    text += selection_section(records, recipe)
    for name in COLOR_GRIDS:
        grid = importlib.import_module(f"experiments.grids.{name}")
        # Grids share rows. A grid has a section if at least half of its rows were trained.
        if 2 * trained_rows(grid, records, recipe) >= len(grid.ROWS):
            subject, _, published = grid.__doc__.strip().partition("\n")
            text += f"\n### {subject.rstrip('.')}\n"
            text += "" if name in GRIDS else f"{published}\n"
            text += f"\n`--grid={name}`:\n\n{tables_of_trainings(grid, records, recipe)}"
            figure = path.with_name(f"{recipe}_{name}.png")
            text += draw_figure(figure, page, grid, records, recipe)
    robustness = path.with_name(f"{recipe}_robustness.json")
    if robustness.exists():
        text += f"\n### Corruptions and calibration\n\n{BEGIN_ROBUSTNESS}\nThe results "
        text += robustness_tables(json.loads(robustness.read_text()))
        picture = robustness.with_suffix(".png").relative_to(page.parent)
        text += f"\n![Accuracy and calibration error against severity]({picture})\n"
    text += transfer_section(path.with_name(f"{recipe}_transfer"), records, recipe)
    return text + reference_section(path.with_name("reference_training.jsonl"))


def selection_section(records: Mapping[str, Record], recipe: str) -> str:
    """Writes the section of the trials that chose the settings, or an empty string without any."""
    trials = sorted(selection.ROWS, key=lambda row: row.recipe)  # by the method
    changes = {"hold_out": HOLD_OUT}
    if not any(training_records.select(records, recipe, row, trials, changes) for row in trials):
        return ""
    table = accuracy_table(trials, records, recipe, changes, tested="held-out")
    subject, _, text = selection.__doc__.strip().partition("\n")
    return f"\n### {subject.rstrip('.')}\n{text}\n\n{table}"


def transfer_section(directory: pathlib.Path, records: Mapping[str, Record], recipe: str) -> str:
    """Writes the section of encoders on other data sets, or an empty string without any.

    Args:
        directory: the directory of the results of `experiments.evaluate`, with a directory for each
            data set.
        records: the records of all trainings by their keys.
        recipe: the name of the recipe of the trainings.
    """
    rows = []
    for row in methods.ROWS:
        accuracies = []
        for training in training_records.select(records, recipe, row, methods.ROWS):
            paths = [directory / dataset / f"{training['run']}.json" for dataset in TRANSFERRED]
            if all(path.exists() for path in paths):
                results = [json.loads(path.read_text())["representations"] for path in paths]
                accuracies.append([each["logistic_regression_accuracy"] for each in results])
        if accuracies:
            by_dataset = map(mean_and_deviation, zip(*accuracies, strict=True))
            rows.append([row.name, *by_dataset, str(len(accuracies))])
    if not rows:
        return ""
    text = f"\n### Transfer to other data sets\n\n{BEGIN_TRANSFER.format(recipe=recipe)}\n"
    return text + markdown_table(["", *TRANSFERRED, "seeds"], rows)


def reference_section(path: pathlib.Path) -> str:
    """Writes the section of trainings beside the reference code, or an empty string without any."""
    records = read_json_lines(path)
    if not records:
        return ""
    return f"\n{(PUBLISHED / 'reference_training.md').read_text()}\n{reference_table(records)}"


def figure_points(
    grid: types.ModuleType, records: Mapping[str, Record], recipe: str
) -> dict[str, list[tuple[float, float, float | None]]]:
    """Collects the points of a figure.

    Returns:
        The points of each series: x, the mean accuracy, and its standard deviation, or `None` for a
        single seed.
    """
    series: dict[str, list[tuple[float, float, float | None]]] = {}
    for row in grid.ROWS:
        selected = training_records.select(records, recipe, row, grid.ROWS)
        if row.x is not None and selected:
            accuracies = [record["test"]["accuracy"] for record in selected]
            deviation = statistics.stdev(accuracies) if len(selected) > 1 else None
            point = row.x, statistics.mean(accuracies), deviation
            series.setdefault(row.series, []).append(point)
    return series


def draw_figure(
    path: pathlib.Path,
    page: pathlib.Path,
    grid: types.ModuleType,
    records: Mapping[str, Record],
    recipe: str,
) -> str:
    """Draws the figure of a grid, if one of its rows with a place in the figure was trained.

    Args:
        path: the PNG to write.
        page: the page that shows it.
        grid: the module of the grid.
        records: the records of all trainings by their keys.
        recipe: the name of the recipe of the trainings.

    Returns:
        The line of the page, or an empty string without a figure.
    """
    points = figure_points(grid, records, recipe)
    if not points:
        return ""
    from experiments import pictures

    seeds = {len(training_records.select(records, recipe, row, grid.ROWS)) for row in grid.ROWS}
    seeds.discard(0)  # rows that were not trained
    same = len(seeds) == 1 and seeds != {1}
    pictures.curves(
        path,
        points,
        x_label=grid.X_LABEL,
        y_label="test accuracy",
        title=f"mean and standard deviation of {seeds.pop()} seeds" if same else "",
        logarithmic=True,
    )
    return f"\n![Test accuracy against {grid.X_LABEL}]({path.relative_to(page.parent)})\n"


def robustness_section(robustness: Mapping | None) -> str:
    """Writes the section of corruptions from the content of robustness.json."""
    text = f"\n{(PUBLISHED / 'corruptions.md').read_text()}\n"
    if robustness is None:
        return f"{text}Not measured here.\n"
    return f"{text}Small trainings, {robustness_tables(robustness)}"


def robustness_tables(robustness: Mapping) -> str:
    """Writes the tables of robustness.json: the classifiers, and SupCon minus cross-entropy."""
    classifiers = robustness["classifiers"]
    text = f"with {len(robustness['corruptions'])} corruptions at severities 1 to 5; mCE is "
    text += f"relative to {robustness['reference']}:\n\n{robustness_table(classifiers)}\n"
    rows = []
    for metric, label in (("accuracy", "accuracy"), ("ece", "calibration error")):
        supcon, baseline = (
            robustness_by_severity(classifiers[name], metric)
            for name in ("SupCon", "cross-entropy")
        )
        pairs = list(zip(supcon, baseline, strict=True))
        differences = [statistics.mean(a) - statistics.mean(b) for a, b in pairs]
        rows.append([label, *(f"{difference:+.4f}" for difference in differences)])
        if min(map(len, pairs[0])) > 1:
            intervals = (difference_interval(a, b) for a, b in pairs)
            cells = (f"{low:+.4f} to {high:+.4f}" for low, high in intervals)
            rows.append(["95 % interval", *cells])
    return text + markdown_table(["SupCon minus cross-entropy", "clean", *"12345"], rows)


def labels_section(records: Mapping[str, Record]) -> str:
    """Writes the section of trainings with few labels, without its figure."""
    subject, _, text = labels.__doc__.strip().partition("\n")
    return (
        f"\n## {subject.rstrip('.')}\n{text}\n\nThe papers have no such comparison. Command:\n\n"
        "```shell\npython -m experiments.ablate --grid=labels \\\n"
        f"    --config=experiments/configs/{FEW_LABELS}.py --seeds=0,1,2\n```\n\n"
        f"{accuracy_table(labels.ROWS, records, FEW_LABELS)}"
    )


def main(argv: list[str]) -> None:
    """Writes the page and its figures."""
    check_arguments(argv)
    from experiments.lib.files import write_atomically

    path, output = pathlib.Path(_RECORDS.value), pathlib.Path(_OUTPUT.value)
    if not path.is_file():
        raise FileNotFoundError(f"`--records` must be an existing file. Received: {str(path)!r}")
    records, recipe = training_records.read(path), path.stem
    relative = path.relative_to(output.parent)
    text = BEGIN.format(noise=NOISE)
    color = path.with_name(f"{COLOR}.jsonl")
    if color.exists():
        text += color_section(color, output, training_records.read(color), COLOR)
    text += BEGIN_GRAY.format(recipe=recipe, records=relative) + note_on_earlier_code(records)
    for name in GRIDS:
        grid = importlib.import_module(f"experiments.grids.{name}")
        text += grid_section(name, grid, records, recipe)
        text += draw_figure(path.with_name(f"{name}.png"), output, grid, records, recipe)
    robustness = path.with_name("robustness.json")
    text += robustness_section(json.loads(robustness.read_text()) if robustness.exists() else None)
    if robustness.exists():
        picture = relative.with_name("robustness.png")
        text += f"\n![Accuracy and calibration error against severity]({picture})\n"
    few_labels = path.with_name(f"{FEW_LABELS}.jsonl")
    if few_labels.exists():
        records = training_records.read(few_labels)
        text += labels_section(records)
        text += draw_figure(path.with_name("labels.png"), output, labels, records, FEW_LABELS)
    text += f"\n{(PUBLISHED / 'others.md').read_text()}"
    write_atomically(output, lambda name: name.write_text(text))


if __name__ == "__main__":
    run(main)
