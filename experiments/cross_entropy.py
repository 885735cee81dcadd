"""Trains an encoder and a classifier together with cross-entropy by a recipe: the baseline.

    python -m experiments.cross_entropy --config=experiments/configs/digits_small_cross_entropy.py

trains, tests, and writes to the output directory

    classifier.keras  encoder and classifier, for images in [0, 1]
    encoder.keras     the encoder alone; with `python -m experiments.linear_eval` and the same flags
                      a new linear layer is trained on it, the paper's cross-entropy in two stages
    results.json      the recipe, versions, test accuracy, and every epoch's figures
    log.csv, tensorboard/, checkpoints/, config.json

A training that was stopped, by whatever, goes on when the command is given again.
"""

from absl import app, flags

from experiments.lib import recipe_flags, strategy_flags

flags.adopt_module_key_flags(recipe_flags)  # --help shows them
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and tests."""
    recipe_flags.check_arguments(argv)
    strategy = strategy_flags.make_strategy()
    from experiments.lib.classifiers import train_cross_entropy

    train_cross_entropy(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    app.run(main)
