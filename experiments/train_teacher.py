r"""Trains a classifier to teach by a recipe, and averages its weights over the steps.

    python -m experiments.train_teacher \
        --config=experiments/configs/fashion_mnist_small_teacher.py

trains with cross-entropy, as a rule on images mixed by Mixup and CutMix, tests the classifier with
averaged weights, and writes to the output directory

    classifier.keras  the classifier with averaged weights, for images in [0, 1]
    encoder.keras     its encoder alone
    results.json      the recipe, versions, test accuracy, and every epoch's figures
    log.csv, tensorboard/, checkpoints/, config.json

`python -m experiments.pretrain --config.teacher.path=DIRECTORY/classifier.keras` with a recipe of
the generalized loss lets it teach an encoder. A training that was stopped, by whatever, goes on
when the command is given again.
"""

from absl import app, flags

from experiments.lib import recipe_flags, strategy_flags

flags.adopt_module_key_flags(recipe_flags)  # --help shows them
flags.adopt_module_key_flags(strategy_flags)


def main(argv: list[str]) -> None:
    """Trains and tests."""
    recipe_flags.check_arguments(argv)
    strategy = strategy_flags.make_strategy()
    from experiments.lib import classifiers

    classifiers.train_teacher(recipe_flags.CONFIG.value, recipe_flags.output_dir(), strategy)


if __name__ == "__main__":
    app.run(main)
