"""Classifiers: linear ones on frozen encoders, the cross-entropy baseline, teachers."""

import operator
import pathlib
import time
from collections.abc import Callable

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import builders, datasets, saved_models, training
from experiments.lib.files import write_atomically
from supcon_tf.data import ImageSource, flatten_views, mix_batches, multi_view_batches

# Makes the model for a number of classes and a number of channels.
Build = Callable[[int, int], keras.Model]


def train_linear(
    encoder: pathlib.Path,
    config: ConfigDict,
    output_dir: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> None:
    """Trains a linear classifier on a frozen encoder: the second stage of a recipe.

    Args:
        encoder: the file of the encoder.
        config: the recipe.
        output_dir: where the run's files go.
        strategy: a strategy of tf.distribute.

    Raises:
        ValueError: as `train_classifier` does.
    """

    def build(num_classes: int, channels: int) -> keras.Model:
        return linear(saved_models.load(encoder), num_classes, config)

    train_classifier(build, config, config.linear, output_dir, strategy)


def train_cross_entropy(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains an encoder and a classifier together: the baseline.

    Args:
        config: as of `train_linear`.
        output_dir: as of `train_linear`.
        strategy: as of `train_linear`.

    Raises:
        ValueError: as `train_classifier` does.
    """

    def build(num_classes: int, channels: int) -> keras.Model:
        return cross_entropy(num_classes, channels, config)

    train_classifier(build, config, config, output_dir, strategy)


def train_teacher(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains as `train_cross_entropy` does; what is tested and written has averaged weights.

    Args:
        config: as of `train_linear`.
        output_dir: as of `train_linear`.
        strategy: as of `train_linear`.

    Raises:
        ValueError: as `train_classifier` does.
    """

    def build(num_classes: int, channels: int) -> keras.Model:
        return teacher(num_classes, channels, config)

    average = operator.attrgetter("average")
    train_classifier(build, config, config, output_dir, strategy, product=average)


def linear(
    encoder: keras.Model, num_classes: int, config: ConfigDict
) -> supcon_tf.LinearClassifier:
    """Makes the model of a recipe's second stage."""
    return supcon_tf.LinearClassifier(
        encoder, num_classes, batch_statistics=config.linear.batch_statistics
    )


def cross_entropy(
    num_classes: int, channels: int, config: ConfigDict
) -> supcon_tf.CrossEntropyModel:
    """Makes the model of a recipe of the baseline."""
    encoder = builders.encoder(config.encoder, config.image_size, channels)
    return supcon_tf.CrossEntropyModel(encoder, num_classes)


def teacher(
    num_classes: int, channels: int, config: ConfigDict
) -> supcon_tf.AveragedCrossEntropyModel:
    """Makes the model of a recipe of a teacher."""
    encoder = builders.encoder(config.encoder, config.image_size, channels)
    return supcon_tf.AveragedCrossEntropyModel(
        encoder, num_classes, momentum=config.average_momentum
    )


def train_classifier(
    build: Build,
    config: ConfigDict,
    stage: ConfigDict,
    output_dir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    product: Callable[[keras.Model], keras.Model] = lambda model: model,
) -> None:
    """Trains a classifier by a recipe and tests it, once, after the last epoch.

    Args:
        build: makes the model for a number of classes and a number of channels.
        config: the recipe.
        stage: `augmentation`, `mixing`, `num_views`, `optimizer`, `batch_size`, `epochs` and
            `label_smoothing` of this training.
        output_dir: where the run's files go.
        strategy: a strategy of tf.distribute.
        product: which part of the trained model is tested and written.

    Raises:
        ValueError: if the recipe does not fit the data or the model, or `output_dir` holds a run of
            another recipe; before anything is written.
    """
    start = time.monotonic()
    train, test = datasets.load_both(
        config.dataset, config.data_dir, config.train_images, config.hold_out
    )
    num_classes = len(train.class_names)
    model, batches, steps_per_epoch = prepare(build, config, stage, train, strategy)
    weights = training.train(
        model,
        batches,
        images=len(train),
        epochs=stage.epochs,
        steps_per_epoch=steps_per_epoch,
        directory=output_dir,
        config=config,
        strategy=strategy,
    )
    if weights is None:
        return
    model = build(num_classes, train.channels)
    model.set_weights(weights)
    model = product(model)
    model.compile(**builders.cross_entropy(0.0))
    images = builders.one_hot(builders.test_batches(config, test), num_classes)
    figures = model.evaluate(images, verbose=0, return_dict=True)
    write_atomically(output_dir / "classifier.keras", model.save)
    if not isinstance(model, supcon_tf.LinearClassifier):  # whose encoder has a file already
        write_atomically(output_dir / "encoder.keras", model.encoder.save)
    training.write_results(
        output_dir,
        config,
        seconds=time.monotonic() - start,
        tested_on="held-out training images" if config.hold_out else "test set",
        test_images=len(test),
        test={name: round(float(value), 4) for name, value in figures.items()},
    )
    print(
        f"{'held-out' if config.hold_out else 'test'} accuracy {figures['accuracy']:.4f} on "
        f"{len(test)} images; classifier.keras, results.json and the logs are in {output_dir}/"
    )


def prepare(
    build: Build,
    config: ConfigDict,
    stage: ConfigDict,
    train: ImageSource,
    strategy: tf.distribute.Strategy,
) -> tuple[keras.Model, training.Batches, int]:
    """Makes what a recipe trains.

    Args:
        build: as of `train_classifier`.
        config: as of `train_classifier`.
        stage: as of `train_classifier`.
        train: the images to train on.
        strategy: a strategy of tf.distribute.

    Returns:
        The compiled model, a function that makes the batches from a step on, and the number of
        steps of an epoch.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    num_classes = len(train.class_names)
    policy = builders.policy(stage.augmentation, config.image_size)
    mixing = builders.mixing(stage.mixing)

    def own_batches(step: int, context: tf.distribute.InputContext | None) -> tf.data.Dataset:
        views = multi_view_batches(
            train,
            policy,
            batch_size=stage.batch_size,
            epochs=stage.epochs,
            num_views=stage.num_views,
            seed=config.seed,
            start_step=step,
            input_context=context,
        )
        if mixing is None:
            return builders.one_hot(flatten_views(views), num_classes)
        return flatten_views(
            mix_batches(views, mixing, num_classes=num_classes, seed=config.seed, start_step=step)
        )

    batches = training.share_batches(own_batches, strategy, whole=mixing is not None)
    steps_per_epoch = len(own_batches(0, None)) // stage.epochs
    with strategy.scope():
        model = build(num_classes, train.channels)
        model.compile(
            builders.optimizer(
                stage.optimizer,
                batch_size=stage.batch_size,
                epochs=stage.epochs,
                steps_per_epoch=steps_per_epoch,
            ),
            steps_per_execution=config.steps_per_execution,
            **builders.cross_entropy(stage.label_smoothing),
        )
    model.build_from(own_batches(0, None))
    return model, batches, steps_per_epoch
