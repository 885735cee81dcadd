r"""Trains a teacher: a classifier with averaged weights.

    python -m experiments.train_teacher \
        --config=experiments/configs/fashion_mnist_10k_teacher.py

The script trains the recipe with cross-entropy, usually on images that Mixup and CutMix mix. It
evaluates the classifier with averaged weights on the test set, and writes these files to the output
directory:

    classifier.keras  the classifier with averaged weights, for images in [0, 1]
    encoder.keras     its encoder alone
    results.json      the recipe, versions, commit, test metrics, and the metrics of every epoch
    log.csv, tensorboard/, checkpoints/, config.json

To train an encoder with this teacher, run `python -m experiments.pretrain` with a recipe that uses
the generalized loss and with `--config.teacher.path=DIRECTORY/classifier.keras`. Run the same
command again to resume an interrupted training.
"""

from absl import flags

from experiments.lib import recipe_flags, strategy_flags
from experiments.lib.command_line import check_arguments, run

flags.adopt_module_key_flags(recipe_flags)  # --help shows them.
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and tests the teacher."""
    check_arguments(argv)
    strategy = strategy_flags.create_strategy()
    from experiments.lib.classifiers import train_teacher

    train_teacher(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    run(main)
