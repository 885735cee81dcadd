"""Trains an encoder and a classifier together with cross-entropy: the baseline.

    python -m experiments.cross_entropy --config=experiments/configs/digits_small_cross_entropy.py

The script trains the recipe, evaluates the classifier on the test set, and writes these files to
the output directory:

    classifier.keras  the encoder and the classifier, for images in [0, 1]
    encoder.keras     the encoder alone
    results.json      the recipe, versions, commit, test metrics, and the metrics of every epoch
    log.csv, tensorboard/, checkpoints/, config.json

For the paper's cross-entropy in two stages, run `python -m experiments.linear_eval` with the same
flags afterwards. It trains a new linear layer on the frozen encoder. Run the same command again to
resume an interrupted training.
"""

from absl import flags

from experiments.lib import recipe_flags, strategy_flags
from experiments.lib.command_line import check_arguments, run

flags.adopt_module_key_flags(recipe_flags)  # --help shows them.
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and tests the classifier."""
    check_arguments(argv)
    strategy = strategy_flags.create_strategy()
    from experiments.lib.classifiers import train_cross_entropy

    train_cross_entropy(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    run(main)
