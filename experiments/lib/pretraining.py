"""Trains an encoder with a contrastive loss: the first stage of a recipe."""

import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import builders, datasets
from experiments.lib.files import write_atomically
from experiments.lib.projector import write_projector
from experiments.lib.recipe_batches import (
    Batches,
    distribute_batches,
    one_hot_labels,
    test_batches,
)
from experiments.lib.recipe_runs import write_results
from experiments.lib.training import train
from supcon_tf._files import replace_directory
from supcon_tf.commands.dispensable import warn_if_not_written
from supcon_tf.commands.image_digests import images_digest
from supcon_tf.commands.saved_models import weights_digest
from supcon_tf.data import ImageSource, evaluation_batches, mix_batches, multi_view_batches

_PROJECTOR_IMAGES = 2000


def pretrain(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains an encoder and writes it.

    Args:
        config: the recipe.
        output_dir: the directory of the run.
        strategy: a strategy of tf.distribute.

    Raises:
        ValueError: if the recipe does not fit the data or the model, or `output_dir` holds a run of
            another recipe; before any file is written.
    """
    start = time.monotonic()
    train_images, test_images = datasets.load_of_recipe(config)
    train_images = first_stage_images(config, train_images)
    model, batches, steps_per_epoch = prepare(config, train_images, strategy)
    inputs: dict[str, Any] = {
        "class_names": list(train_images.class_names),
        "data": images_digest(train_images),
    }
    if config.teacher.path:
        inputs["teacher"] = weights_digest(config.teacher.path)
    weights = train(
        model,
        batches,
        num_images=len(train_images),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        directory=output_dir,
        config=config,
        strategy=strategy,
        callbacks=collapse_warning(model.loss),
        inputs=inputs,
    )
    if weights is None:
        return
    model = build_model(config, train_images)
    model.set_weights(weights)
    export_encoder(model.encoder, output_dir)
    metrics = {}
    if config.joint_classifier:
        accuracy = joint_classifier_accuracy(model, config, test_images)
        metrics["joint_accuracy"] = round(accuracy, 4)
        print(f"accuracy of the joint classifier: {metrics['joint_accuracy']}")
    shown = test_images.take(range(min(len(test_images), _PROJECTOR_IMAGES)))
    representations = model.encoder.predict(
        evaluation_batches(shown, size=config.image_size, batch_size=250), verbose=0
    )
    with warn_if_not_written():
        write_projector(
            output_dir / "tensorboard", representations, shown.labels, shown.class_names
        )
    write_results(
        output_dir,
        config,
        seconds=time.monotonic() - start,
        class_names=list(train_images.class_names),
        **metrics,
    )
    print(f"encoder.keras, saved_model/, results.json and the logs are in {output_dir}/")


def first_stage_images(config: ConfigDict, images: ImageSource) -> ImageSource:
    """Hides the labels that the first stage of a recipe does not use, or leaves these images out.

    Args:
        config: the recipe.
        images: the labeled training images.
    """
    images = datasets.hide_labels(images, config.labeled_fraction)
    return images if config.unlabeled_images else datasets.take_labeled(images)


def prepare(
    config: ConfigDict, images: ImageSource, strategy: tf.distribute.Strategy
) -> tuple[keras.Model, Batches, int]:
    """Creates the model and the batches of a recipe.

    Args:
        config: the recipe.
        images: the training images, labeled as `first_stage_images` returns them.
        strategy: a strategy of tf.distribute.

    Returns:
        The compiled model, the batches, and the number of steps of an epoch.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    policy = builders.build_policy(config.augmentation, config.image_size)
    mixing = builders.build_mixing(config.mixing)
    num_classes = len(images.class_names)

    def own_batches(context: tf.distribute.InputContext | None) -> tf.data.Dataset:
        views = multi_view_batches(
            images,
            policy,
            batch_size=config.batch_size,
            num_views=config.num_views,
            images_per_class=config.images_per_class,
            shuffle_buffer=config.shuffle_buffer,
            seed=config.seed,
            input_context=context,
        )
        if mixing is not None:
            return mix_batches(views, mixing, num_classes=num_classes, seed=config.seed)
        if config.loss.name == "generalized":
            return one_hot_labels(views, num_classes)
        return views

    model, steps_per_epoch = builders.build_compiled_model(
        lambda: build_model(config, images),
        own_batches(None),
        config,
        strategy,
        lambda: {
            "loss": builders.build_loss(config.loss),
            "metrics": supcon_tf.metrics.HEALTH,
            "steps_per_execution": config.steps_per_execution,
        },
    )
    batches = distribute_batches(own_batches, strategy, whole=mixing is not None)
    return model, batches, steps_per_epoch


def build_model(
    config: ConfigDict, images: ImageSource
) -> supcon_tf.SupConModel | supcon_tf.JointSupConModel:
    """Builds the model of a recipe.

    Args:
        config: the recipe.
        images: their channels and classes are those of the model.
    """
    encoder = builders.build_encoder(config.encoder, config.image_size, images.channels)
    head = supcon_tf.projection_head(**config.projection_head)
    if config.joint_classifier:
        return supcon_tf.JointSupConModel(
            encoder, len(images.class_names), head, class_names=images.class_names
        )
    arguments = {
        "distillation": builders.build_distillation(config.teacher, images.class_names),
        "micro_batch_size": config.micro_batch_size,
    }
    if "momentum_encoder" not in config:
        return supcon_tf.SupConModel(encoder, head, **arguments)
    if config.loss.name == "generalized":
        arguments["num_classes"] = len(images.class_names)
    return supcon_tf.MomentumSupConModel(encoder, head, **config.momentum_encoder, **arguments)


def collapse_warning(loss: keras.losses.Loss) -> list[keras.callbacks.Callback]:
    """Returns the callback that warns of a collapse, for losses with a known collapsed value."""
    if isinstance(loss, supcon_tf.SupConLoss | supcon_tf.GeneralizedSupConLoss):
        return [supcon_tf.callbacks.CollapseWarning()]
    return []


def joint_classifier_accuracy(
    model: supcon_tf.JointSupConModel, config: ConfigDict, images: ImageSource
) -> float:
    """Returns the accuracy of the classifier that was trained together with the encoder."""
    classifier = keras.Sequential([model.encoder, model.classifier])
    logits = classifier.predict(test_batches(config, images), verbose=0)
    return float(np.mean(logits.argmax(axis=1) == images.labels))


def export_encoder(encoder: keras.Model, output_dir: pathlib.Path) -> None:
    """Writes an encoder to encoder.keras and saved_model/, each completely or not at all."""
    write_atomically(output_dir / "encoder.keras", encoder.save)
    replace_directory(output_dir / "saved_model", lambda path: encoder.export(path, verbose=False))
