"""Trains an encoder and a classifier together with cross-entropy: the baseline.

    python -m experiments.cross_entropy --config=experiments/configs/digits_small_cross_entropy.py

trains the recipe, tests it, and writes to the output directory

    classifier.keras  the encoder and the classifier, for images in [0, 1]
    encoder.keras     the encoder alone; `python -m experiments.linear_eval` with the same flags
                      trains a new linear layer on it, which is the paper's two-stage cross-entropy
    results.json      the recipe, versions, test metrics, and the metrics of every epoch
    log.csv, tensorboard/, checkpoints/, config.json

An interrupted training resumes when the command is run again.
"""

from absl import app, flags

from experiments.lib import recipe_flags, strategy_flags
from experiments.lib.command_line import check_arguments

flags.adopt_module_key_flags(recipe_flags)  # --help shows them.
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and tests the classifier."""
    check_arguments(argv)
    strategy = strategy_flags.create_strategy()
    from experiments.lib.classifiers import train_cross_entropy

    train_cross_entropy(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    app.run(main)
