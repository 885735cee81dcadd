"""Trains an encoder with a contrastive loss: the first of two stages.

    python -m experiments.pretrain --config=experiments/configs/digits_small.py

The script trains the recipe and writes these files to the output directory:

    encoder.keras     the encoder without the projection head, for images in [0, 1]
    saved_model/      the same encoder for TensorFlow Serving
    results.json      the recipe, versions, commit, and the metrics of every epoch
    log.csv, tensorboard/, checkpoints/, config.json

Run `python -m experiments.linear_eval` with the same flags for the second stage. Run the same
command again to resume an interrupted training.
"""

from absl import flags

from experiments.lib import recipe_flags, strategy_flags
from experiments.lib.command_line import check_arguments, run

flags.adopt_module_key_flags(recipe_flags)  # --help shows them.
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and exports the encoder."""
    check_arguments(argv)
    strategy = strategy_flags.create_strategy()
    from experiments.lib.pretraining import pretrain

    pretrain(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    run(main)
