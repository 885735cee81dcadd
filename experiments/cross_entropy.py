"""Trains an encoder and a classifier together with cross-entropy by a recipe: the baseline.

    python -m experiments.cross_entropy --config=experiments/configs/digits_small_cross_entropy.py

trains, tests, and writes to the output directory

    classifier.keras  encoder and classifier, for images in [0, 1]
    results.json      the recipe, versions, test accuracy, and every epoch's figures
    log.csv, tensorboard/, checkpoints/, config.json

A training that was stopped, by whatever, goes on when the command is given again.
"""

from absl import app

from experiments import recipe_flags, strategy_flags


def main(argv: list[str]) -> None:
    """Trains and tests."""
    recipe_flags.check_arguments(argv)
    strategy = strategy_flags.make_strategy()
    from experiments.classifiers import train_classifier

    config = recipe_flags.CONFIG.value

    def build_from_recipe(num_classes: int, channels: int):
        return build(config, num_classes, channels)

    train_classifier(build_from_recipe, config, config, recipe_flags.output_dir(), strategy)


def build(config, num_classes: int, channels: int):
    """Makes the model of a recipe.

    Args:
        config: the recipe.
        num_classes: how many classes.
        channels: 1 for grey images, 3 for RGB.
    """
    import supcon_tf
    from experiments import recipes

    encoder = recipes.encoder(config.encoder, config.image_size, channels)
    return supcon_tf.CrossEntropyModel(encoder, num_classes)


if __name__ == "__main__":
    app.run(main)
