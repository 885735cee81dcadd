r"""Trains every row of a grid with several seeds, and prints a table of the results.

    python -m experiments.ablate --grid=label_distributions \
        --config=experiments/configs/fashion_mnist_10k.py --seeds=0,1,2

A grid is a list of rows. Each row is a recipe with changed fields. This command trains the rows of
experiments/grids/label_distributions.py with the given recipe, and with the recipes whose names add
a suffix to its name, such as `_cross_entropy`. It writes these files to the output directory:

    records.jsonl   one JSON object for each run: row, recipe, changes, seed, test metrics
    records/        the files of each run

If a run fails, the script reports it and starts the next one. Run the same command again to resume
an interrupted run and to train the rows without a result. Grids with the same output directory
share the runs that they have in common.

Several processes can train the same grid in the same directory, for example one for each GPU:

    CUDA_VISIBLE_DEVICES=0 python -m experiments.ablate --grid=... &
    CUDA_VISIBLE_DEVICES=1 python -m experiments.ablate --grid=... &

Each process takes the runs that no other one has started.

`--rows` selects rows by their names, with the rows that they use:

    python -m experiments.ablate --grid=batch_sizes --rows="SupCon, (64|512)" --config=...
"""

import importlib
import pathlib

from absl import flags

from experiments.grids import select_rows
from experiments.lib import strategy_flags
from experiments.lib.command_line import are_seeds, check_arguments, run
from experiments.lib.name_value_flags import parse_changes

flags.adopt_module_key_flags(strategy_flags)  # --help shows them.

_GRID = flags.DEFINE_enum(
    "grid",
    None,
    sorted(path.stem for path in (pathlib.Path(__file__).parent / "grids").glob("[!_]*.py")),
    "The name of a file in experiments/grids.",
    required=True,
)
_CONFIG = flags.DEFINE_string(
    "config",
    None,
    "The recipe that the rows change, a file in experiments/configs.",
    required=True,
)
_ROWS = flags.DEFINE_string(
    "rows", ".*", "A regular expression that matches the whole names of the rows to train."
)
_CHANGES = flags.DEFINE_multi_string(
    "change",
    [],
    "FIELD=VALUE changes a field of the recipe in every row that does not set it; repeatable.",
)
_SEEDS = flags.DEFINE_list(
    "seeds", ["0"], "Seeds, separated by commas. Every row is trained with every seed."
)
flags.register_validator(_SEEDS, are_seeds, "must be integers")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "The directory for records and runs; runs/ablate/ and the name of the recipe by default.",
)


def main(argv: list[str]) -> None:
    """Trains the rows without a result and prints the table."""
    check_arguments(argv)
    recipe = pathlib.Path(_CONFIG.value)
    output_dir = pathlib.Path(_OUTPUT_DIR.value or f"runs/ablate/{recipe.stem}")
    grid = importlib.import_module(f"experiments.grids.{_GRID.value}")
    rows = select_rows(grid.ROWS, _ROWS.value)
    changes = parse_changes(_CHANGES.value)
    strategy = strategy_flags.create_strategy()
    from experiments.lib.tables import accuracy_table
    from supcon_tf._requirements import require_extra

    with require_extra("experiments.ablate", "ml_collections"):
        from experiments.lib.ablation import run_grid

    records = run_grid(
        rows,
        recipe,
        seeds=[int(seed) for seed in _SEEDS.value],
        changes=changes,
        path=output_dir / "records.jsonl",
        strategy=strategy,
    )
    print(accuracy_table(rows, records, recipe.stem, changes))
    failed = [
        f"{each['row']} (seed {each['seed']})" for each in records.values() if "error" in each
    ]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    run(main)
