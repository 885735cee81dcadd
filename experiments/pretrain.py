"""Trains an encoder with a contrastive loss by a recipe: the first of two stages.

    python -m experiments.pretrain --config=experiments/configs/digits_small.py

trains, and writes to the output directory

    encoder.keras     the encoder, without the projection head, for images in [0, 1]
    saved_model/      the same for TensorFlow Serving
    results.json      the recipe, versions, and every epoch's figures
    log.csv, tensorboard/, checkpoints/, config.json

`python -m experiments.linear_eval` with the same flags is the second stage. A training that was
stopped, by whatever, goes on when the command is given again.
"""

import shutil
import time

from absl import app

from experiments import recipe_flags, strategy_flags


def main(argv: list[str]) -> None:
    """Trains and exports."""
    recipe_flags.check_arguments(argv)
    config = recipe_flags.CONFIG.value
    strategy = strategy_flags.make_strategy()
    pretrain(config, recipe_flags.output_dir(), strategy)


def pretrain(config, output_dir, strategy) -> None:
    """Trains an encoder by a recipe.

    Args:
        config: the recipe, an `ml_collections.ConfigDict`.
        output_dir: where the run's files go, a `pathlib.Path`.
        strategy: a strategy of tf.distribute.

    Raises:
        ValueError: if the recipe does not fit the data or the model, or `output_dir` holds a run of
            another recipe; before anything is written.
    """
    import supcon_tf
    from experiments import datasets, training

    start = time.monotonic()
    train, test = datasets.load_both(
        config.dataset, config.data_dir, config.train_images, config.hold_out
    )
    model, batches, steps_per_epoch = prepare(config, train, strategy)
    chief = supcon_tf.distribution.is_chief(strategy)
    training.claim(output_dir, config, chief=chief)
    print(f"{len(train)} images, {config.epochs} epochs of {steps_per_epoch} steps", flush=True)
    training.fit(
        model,
        batches,
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        directory=output_dir,
        config=config,
        chief=chief,
        callbacks=(supcon_tf.callbacks.CollapseWarning(contrasts(config)),),
    )
    weights = model.get_weights()  # every worker takes part
    if not chief:
        return
    # Outside of the strategy, where images need not come in equal batches.
    model = build(config, train.channels)
    model.set_weights(weights)
    export(model.encoder, output_dir)
    images = test.take(range(min(len(test), 2000)))
    representations = model.encoder.predict(
        supcon_tf.data.image_batches(images, size=config.image_size, batch_size=250), verbose=0
    )
    training.write_projector(
        output_dir / "tensorboard", representations, images.labels, images.class_names
    )
    training.write_results(output_dir, config, seconds=time.monotonic() - start)
    print(f"encoder.keras, saved_model/, results.json and the logs are in {output_dir}/")


def prepare(config, train, strategy):
    """Makes what a recipe trains.

    Args:
        config: the recipe.
        train: the images to train on, a `supcon_tf.data.ImageSource`.
        strategy: a strategy of tf.distribute.

    Returns:
        The compiled model, a function that makes the batches from a step on, and the number of
        steps of an epoch.
    """
    import keras

    import supcon_tf
    from experiments import recipes

    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    policy = recipes.policy(config.augmentation, config.image_size)

    def batches(step: int):
        views = supcon_tf.data.multi_view_batches(
            train,
            policy,
            batch_size=config.batch_size,
            epochs=config.epochs,
            num_views=config.num_views,
            images_per_class=config.images_per_class,
            seed=config.seed,
            start_step=step,
        )
        return views if config.use_labels else recipes.without_labels(views)

    steps_per_epoch = len(batches(0)) // config.epochs
    with strategy.scope():
        model = build(config, train.channels)
        model.compile(
            recipes.optimizer(
                config.optimizer,
                batch_size=config.batch_size,
                epochs=config.epochs,
                steps_per_epoch=steps_per_epoch,
            ),
            loss=recipes.loss(config.loss),
            metrics=supcon_tf.metrics.HEALTH,
            steps_per_execution=config.steps_per_execution,
        )
    return model, batches, steps_per_epoch


def build(config, channels: int):
    """Makes the model of a recipe.

    Args:
        config: the recipe.
        channels: 1 for grey images, 3 for RGB.
    """
    import supcon_tf
    from experiments import recipes

    encoder = recipes.encoder(config.encoder, config.image_size, channels)
    head = supcon_tf.projection_head(**config.projection_head)
    return supcon_tf.SupConModel(encoder, head, micro_batch_size=config.micro_batch_size)


def contrasts(config) -> int:
    """How many rows an anchor is compared with."""
    return config.num_views * config.batch_size - 1


def export(encoder, output_dir) -> None:
    """Writes an encoder as encoder.keras and saved_model/, each whole or not at all."""
    from experiments.files import write_atomically

    write_atomically(output_dir / "encoder.keras", encoder.save)
    temporary = output_dir / ".saved_model"
    shutil.rmtree(temporary, ignore_errors=True)
    encoder.export(temporary, verbose=False)
    shutil.rmtree(output_dir / "saved_model", ignore_errors=True)
    temporary.rename(output_dir / "saved_model")


if __name__ == "__main__":
    app.run(main)
