r"""Trains every row of a grid, with several seeds, and writes what comes out, one line for each.

    python -m experiments.ablate --grid=label_distributions \
        --config=experiments/configs/fashion_mnist_small.py --seeds=0,1,2 \
        --change=train_images=10000 --change=epochs=10 --change=linear.epochs=10

trains the rows of experiments/grids/label_distributions.py with this recipe and others of its
family (its name followed by `_cross_entropy`, ...), and writes to the output directory

    label_distributions.jsonl   a JSON object for each training: row, seed, changes, test figures
    label_distributions/        the files of each training

and the table. A training that fails is reported, and the next one starts. Given again, the same
command makes what is missing and nothing else; a training that was stopped goes on.
"""

import importlib
import pathlib

from absl import app, flags, logging

from experiments import strategy_flags

flags.adopt_module_key_flags(strategy_flags)  # --help shows them

_GRID = flags.DEFINE_string("grid", None, "The name of a file of experiments/grids.", required=True)
_CONFIG = flags.DEFINE_string(
    "config", None, "The recipe that the rows change, a file of experiments/configs.", required=True
)
_CHANGES = flags.DEFINE_multi_string(
    "change", [], "NAME=VALUE changes a field of the recipe in all rows that do not set it."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Each row is trained with each of these seeds.")
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
    from experiments import ablation

    lines = ablation.run_grid(
        rows,
        config,
        seeds=[int(seed) for seed in _SEEDS.value],
        changes=ablation.parse_changes(_CHANGES.value),
        path=output_dir / f"{_GRID.value}.jsonl",
        strategy=strategy,
    )
    print(ablation.table(rows, lines))
    failed = [f"{line['row']} (seed {line['seed']})" for line in lines if "error" in line]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    app.run(main)
