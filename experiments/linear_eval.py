"""Trains and evaluates a linear classifier on an encoder: the second of two stages.

    python -m experiments.linear_eval --config=experiments/configs/digits_small.py

The script reads encoder.keras from the output directory, to which `python -m experiments.pretrain`
wrote it with the same flags. The encoder is frozen, unless the recipe has `linear.train_encoder`;
then the script also writes encoder.keras. It writes these files to the subdirectory linear/:

    classifier.keras  the encoder and the classifier, for images in [0, 1]
    results.json      the recipe, versions, commit, test metrics, and the metrics of every epoch
    log.csv, tensorboard/, checkpoints/, config.json

Run the same command again to resume an interrupted training.
"""

import pathlib

from absl import flags

from experiments.lib import recipe_flags, strategy_flags
from experiments.lib.command_line import check_arguments, run

flags.adopt_module_key_flags(recipe_flags)  # --help shows them.
flags.adopt_module_key_flags(strategy_flags)

_ENCODER = flags.DEFINE_string(
    "encoder",
    None,
    "The .keras file of the encoder; encoder.keras in the output directory by default.",
)


def main(argv: list[str]) -> None:
    """Trains and tests the classifier."""
    check_arguments(argv)
    output_dir = recipe_flags.output_dir()
    path = pathlib.Path(_ENCODER.value or output_dir / "encoder.keras")
    if not path.is_file():
        raise FileNotFoundError(
            "`--encoder` must be an existing file; `python -m experiments.pretrain` with the same "
            f"flags writes the default. Received: {str(path)!r}"
        )
    strategy = strategy_flags.create_strategy()
    from experiments.lib.classifiers import train_linear

    train_linear(path, recipe_flags.CONFIG.value, output_dir / "linear", strategy)


if __name__ == "__main__":
    run(main)
