r"""Trains every row of a grid, with several seeds, and writes what comes out, one line for each.

    python -m experiments.ablate --grid=label_distributions \
        --config=experiments/configs/fashion_mnist_10k.py --seeds=0,1,2

trains the rows of experiments/grids/label_distributions.py with this recipe and others of its
family (its name followed by `_cross_entropy`, ...), and writes to the output directory

    lines.jsonl   a JSON object for each training: row, recipe, changes, seed, test figures
    lines/        the files of each training

and prints the table. A training that fails is reported, and the next one starts. Given again, the
same command makes what is missing and nothing else; a training that was stopped goes on. Grids with
the same output directory share the trainings that they have in common.
"""

import importlib
import pathlib

from absl import app, flags, logging

from experiments.lib import strategy_flags

flags.adopt_module_key_flags(strategy_flags)  # --help shows them

_GRID = flags.DEFINE_enum(
    "grid",
    None,
    sorted(path.stem for path in (pathlib.Path(__file__).parent / "grids").glob("[!_]*.py")),
    "The name of a file of experiments/grids.",
    required=True,
)
_CONFIG = flags.DEFINE_string(
    "config", None, "The recipe that the rows change, a file of experiments/configs.", required=True
)
_CHANGES = flags.DEFINE_multi_string(
    "change", [], "NAME=VALUE changes a field of the recipe in all rows that do not set it."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Each row is trained with each of these seeds.")
flags.register_validator(
    _SEEDS, lambda seeds: seeds and all(seed.isdecimal() for seed in seeds), "must be integers"
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where everything goes; runs/ablate/ and the recipe's name by default."
)


def main(argv: list[str]) -> None:
    """Trains what is missing and prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Flags only. Received: {argv[1:]}")
    logging.set_verbosity(logging.WARNING)  # TensorFlow notes every file that it writes
    config = pathlib.Path(_CONFIG.value)
    output_dir = pathlib.Path(_OUTPUT_DIR.value or f"runs/ablate/{config.stem}")
    rows = importlib.import_module(f"experiments.grids.{_GRID.value}").ROWS
    strategy = strategy_flags.make_strategy()
    from experiments.lib import records
    from supcon_tf._requirements import require_extra

    with require_extra("experiments.ablate", "ml_collections"):
        from experiments.lib import ablation

    changes = ablation.parse_changes(_CHANGES.value)
    lines = ablation.run_grid(
        rows,
        config,
        seeds=[int(seed) for seed in _SEEDS.value],
        changes=changes,
        path=output_dir / "lines.jsonl",
        strategy=strategy,
    )
    print(records.table(rows, lines, config.stem, changes))
    failed = [f"{line['row']} (seed {line['seed']})" for line in lines.values() if "error" in line]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    app.run(main)
