"""Trains classifiers: on trained encoders, from scratch, and as teachers."""

import functools
import operator
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import builders, datasets
from experiments.lib.files import write_atomically
from experiments.lib.recipe_batches import (
    Batches,
    distribute_batches,
    one_hot_labels,
    test_batches,
)
from experiments.lib.recipe_runs import write_results
from experiments.lib.training import train
from supcon_tf.commands.image_digests import images_digest
from supcon_tf.commands.saved_models import load_encoder, weights_digest
from supcon_tf.data import ImageSource, flatten_views, mix_batches, multi_view_batches

# Builds a model for images with these channels and classes.
BuildModel = Callable[[ImageSource], keras.Model]


def train_linear(
    encoder: pathlib.Path,
    config: ConfigDict,
    output_dir: pathlib.Path,
    strategy: tf.distribute.Strategy,
) -> None:
    """Trains a linear classifier on an encoder: the second stage of a recipe.

    The encoder is frozen, unless the recipe has `linear.train_encoder`.

    Args:
        encoder: the file of the encoder.
        config: the recipe.
        output_dir: the directory of the run.
        strategy: a strategy of tf.distribute.
    """

    def build(images: ImageSource) -> keras.Model:
        return build_second_stage(config, load_encoder(encoder), images)

    inputs = {"encoder": weights_digest(encoder)}
    train_classifier(build, config, config.linear, output_dir, strategy, inputs=inputs)


def train_cross_entropy(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains an encoder and a classifier together: the baseline.

    Args:
        config: the recipe.
        output_dir: the directory of the run.
        strategy: a strategy of tf.distribute.
    """
    build = functools.partial(build_cross_entropy_model, config)
    train_classifier(build, config, config, output_dir, strategy)


def train_teacher(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains like `train_cross_entropy`, and tests and writes the average of the weights.

    Args:
        config: the recipe.
        output_dir: the directory of the run.
        strategy: a strategy of tf.distribute.
    """
    build = functools.partial(build_teacher, config)
    average = operator.attrgetter("average")
    train_classifier(build, config, config, output_dir, strategy, result=average)


def build_second_stage(
    config: ConfigDict, encoder: keras.Model, images: ImageSource
) -> keras.Model:
    """Builds the model of the second stage of a recipe: a linear classifier on the encoder."""
    if config.linear.get("train_encoder"):
        if config.linear.batch_statistics:
            raise ValueError(
                "`linear.batch_statistics` is for a frozen encoder. Received: True, with "
                "`linear.train_encoder`"
            )
        return supcon_tf.CrossEntropyModel(
            encoder, len(images.class_names), class_names=images.class_names
        )
    return supcon_tf.LinearClassifier(
        encoder,
        len(images.class_names),
        class_names=images.class_names,
        batch_statistics=config.linear.batch_statistics,
    )


def build_cross_entropy_model(
    config: ConfigDict, images: ImageSource
) -> supcon_tf.CrossEntropyModel:
    """Builds the model of a baseline recipe."""
    encoder = builders.build_encoder(config.encoder, config.image_size, images.channels)
    return supcon_tf.CrossEntropyModel(
        encoder, len(images.class_names), class_names=images.class_names
    )


def build_teacher(config: ConfigDict, images: ImageSource) -> supcon_tf.AveragedCrossEntropyModel:
    """Builds the model of a teacher recipe."""
    encoder = builders.build_encoder(config.encoder, config.image_size, images.channels)
    return supcon_tf.AveragedCrossEntropyModel(
        encoder,
        len(images.class_names),
        class_names=images.class_names,
        momentum=config.average_momentum,
    )


def train_classifier(
    build: BuildModel,
    config: ConfigDict,
    stage: ConfigDict,
    output_dir: pathlib.Path,
    strategy: tf.distribute.Strategy,
    result: Callable[[keras.Model], keras.Model] = lambda model: model,
    inputs: Mapping[str, Any] | None = None,
) -> None:
    """Trains a classifier, and tests it once, after the last epoch.

    Args:
        build: builds the model.
        config: the recipe.
        stage: the fields `augmentation`, `mixing`, `num_views`, `optimizer`, `batch_size`,
            `epochs`, `labeled_fraction` and `label_smoothing` of this training.
        output_dir: the directory of the run.
        strategy: a strategy of tf.distribute.
        result: returns the model to test and to write from the trained model.
        inputs: what the trained weights depend on beside the recipe and the images.

    Raises:
        ValueError: if the recipe does not fit the data or the model, or `output_dir` holds a run of
            another recipe; before any file is written.
    """
    start = time.monotonic()
    train_images, test_images = datasets.load_of_recipe(config)
    train_images = datasets.take_labeled(datasets.hide_labels(train_images, stage.labeled_fraction))
    model, batches, steps_per_epoch = prepare(build, config, stage, train_images, strategy)
    weights = train(
        model,
        batches,
        num_images=len(train_images),
        epochs=stage.epochs,
        steps_per_epoch=steps_per_epoch,
        directory=output_dir,
        config=config,
        strategy=strategy,
        inputs={
            "class_names": list(train_images.class_names),
            "data": images_digest(train_images),
            **(inputs or {}),
        },
    )
    if weights is None:
        return
    model = build(train_images)
    model.set_weights(weights)
    model = result(model)
    model.compile(**_loss_and_metrics(label_smoothing=0.0))
    batches = test_batches(config, test_images)
    metrics = model.evaluate(
        one_hot_labels(batches, len(train_images.class_names)), verbose=0, return_dict=True
    )
    write_atomically(output_dir / "classifier.keras", model.save)
    if not isinstance(model, supcon_tf.LinearClassifier):  # Its encoder already has a file.
        write_atomically(output_dir / "encoder.keras", model.encoder.save)
    write_results(
        output_dir,
        config,
        seconds=time.monotonic() - start,
        class_names=list(train_images.class_names),
        tested_on="held-out training images" if config.hold_out else "test set",
        test_images=len(test_images),
        test={name: round(float(value), 4) for name, value in metrics.items()},
    )
    print(
        f"{'held-out' if config.hold_out else 'test'} accuracy {metrics['accuracy']:.4f} on "
        f"{len(test_images)} images; classifier.keras, results.json and the logs are in "
        f"{output_dir}/"
    )


def prepare(
    build: BuildModel,
    config: ConfigDict,
    stage: ConfigDict,
    images: ImageSource,
    strategy: tf.distribute.Strategy,
) -> tuple[keras.Model, Batches, int]:
    """Creates the model and the batches of a classifier.

    Args:
        build: builds the model.
        config: the recipe.
        stage: as in `train_classifier`.
        images: the training images.
        strategy: a strategy of tf.distribute.

    Returns:
        The compiled model, the batches, and the number of steps of an epoch.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    num_classes = len(images.class_names)
    policy = builders.build_policy(stage.augmentation, config.image_size)
    mixing = builders.build_mixing(stage.mixing)

    def own_batches(context: tf.distribute.InputContext | None) -> tf.data.Dataset:
        views = multi_view_batches(
            images,
            policy,
            batch_size=stage.batch_size,
            num_views=stage.num_views,
            shuffle_buffer=config.shuffle_buffer,
            seed=config.seed,
            input_context=context,
        )
        if mixing is None:
            return one_hot_labels(flatten_views(views), num_classes)
        return flatten_views(mix_batches(views, mixing, num_classes=num_classes, seed=config.seed))

    model, steps_per_epoch = builders.build_compiled_model(
        lambda: build(images),
        own_batches(None),
        stage,
        strategy,
        lambda: {
            **_loss_and_metrics(stage.label_smoothing),
            "steps_per_execution": config.steps_per_execution,
        },
    )
    batches = distribute_batches(own_batches, strategy, whole=mixing is not None)
    return model, batches, steps_per_epoch


def _loss_and_metrics(label_smoothing: float) -> dict[str, Any]:
    """Returns arguments of `compile` for one-hot labels."""
    return {
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        ),
        "metrics": [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top_5_accuracy"),
        ],
    }
