"""The first stage: an encoder that is trained with a contrastive loss."""

import pathlib
import shutil
import time

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import builders, datasets, training
from experiments.lib.files import write_atomically
from supcon_tf.data import ImageSource, image_batches, mix_batches, multi_view_batches


def pretrain(
    config: ConfigDict, output_dir: pathlib.Path, strategy: tf.distribute.Strategy
) -> None:
    """Trains an encoder by a recipe.

    Args:
        config: the recipe.
        output_dir: where the run's files go.
        strategy: a strategy of tf.distribute.

    Raises:
        ValueError: if the recipe does not fit the data or the model, or `output_dir` holds a run of
            another recipe; before anything is written.
    """
    start = time.monotonic()
    train, test = datasets.load_both(
        config.dataset, config.data_dir, config.train_images, config.hold_out
    )
    model, batches, steps_per_epoch = prepare(config, train, strategy)
    weights = training.train(
        model,
        batches,
        images=len(train),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        directory=output_dir,
        config=config,
        strategy=strategy,
        callbacks=collapse_warning(model.loss),
    )
    if weights is None:
        return
    model = build(config, train)
    model.set_weights(weights)
    export(model.encoder, output_dir)
    figures = {}
    if config.joint_classifier:
        figures["joint_accuracy"] = round(joint_accuracy(model, config, test), 4)
        print(f"accuracy of the classifier that trained along: {figures['joint_accuracy']}")
    images = test.take(range(min(len(test), 2000)))
    representations = model.encoder.predict(
        image_batches(images, size=config.image_size, batch_size=250), verbose=0
    )
    training.write_projector(
        output_dir / "tensorboard", representations, images.labels, images.class_names
    )
    training.write_results(output_dir, config, seconds=time.monotonic() - start, **figures)
    print(f"encoder.keras, saved_model/, results.json and the logs are in {output_dir}/")


def prepare(
    config: ConfigDict, train: ImageSource, strategy: tf.distribute.Strategy
) -> tuple[keras.Model, training.Batches, int]:
    """Makes what a recipe trains.

    Args:
        config: the recipe.
        train: the images to train on.
        strategy: a strategy of tf.distribute.

    Returns:
        The compiled model, a function that makes the batches from a step on, and the number of
        steps of an epoch.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    policy = builders.policy(config.augmentation, config.image_size)
    mixing = builders.mixing(config.mixing)
    num_classes = len(train.class_names)
    train = datasets.hide_labels(train, config.labeled_fraction)

    def own_batches(step: int, context: tf.distribute.InputContext | None) -> tf.data.Dataset:
        views = multi_view_batches(
            train,
            policy,
            batch_size=config.batch_size,
            epochs=config.epochs,
            num_views=config.num_views,
            images_per_class=config.images_per_class,
            seed=config.seed,
            start_step=step,
            input_context=context,
        )
        if mixing is not None:
            return mix_batches(
                views, mixing, num_classes=num_classes, seed=config.seed, start_step=step
            )
        if config.loss.name == "generalized":
            return builders.one_hot(views, num_classes)
        return views

    batches = training.share_batches(own_batches, strategy, whole=mixing is not None)
    steps_per_epoch = len(own_batches(0, None)) // config.epochs
    with strategy.scope():
        model = build(config, train)
        model.compile(
            builders.optimizer(
                config.optimizer,
                batch_size=config.batch_size,
                epochs=config.epochs,
                steps_per_epoch=steps_per_epoch,
            ),
            loss=builders.loss(config.loss),
            metrics=supcon_tf.metrics.HEALTH,
            steps_per_execution=config.steps_per_execution,
        )
    model.build_from(own_batches(0, None))
    return model, batches, steps_per_epoch


def build(
    config: ConfigDict, images: ImageSource
) -> supcon_tf.SupConModel | supcon_tf.JointSupConModel:
    """Makes the model of a recipe.

    Args:
        config: the recipe.
        images: what it is for.
    """
    encoder = builders.encoder(config.encoder, config.image_size, images.channels)
    head = supcon_tf.projection_head(**config.projection_head)
    if config.joint_classifier:
        return supcon_tf.JointSupConModel(encoder, len(images.class_names), head)
    arguments = {
        "distillation": builders.distillation(config.teacher),
        "micro_batch_size": config.micro_batch_size,
    }
    if "momentum_encoder" not in config:
        return supcon_tf.SupConModel(encoder, head, **arguments)
    if config.loss.name == "generalized":
        arguments["num_classes"] = len(images.class_names)
    return supcon_tf.MomentumSupConModel(encoder, head, **config.momentum_encoder, **arguments)


def collapse_warning(loss: keras.losses.Loss) -> tuple[keras.callbacks.Callback, ...]:
    """Returns the callback that warns of a collapse, for the losses whose value is then known."""
    if isinstance(loss, (supcon_tf.SupConLoss, supcon_tf.GeneralizedSupConLoss)):
        return (supcon_tf.callbacks.CollapseWarning(),)
    return ()


def joint_accuracy(
    model: supcon_tf.JointSupConModel, config: ConfigDict, test: ImageSource
) -> float:
    """Tests the classifier that was trained along with the encoder."""
    classifier = keras.Sequential([model.encoder, model.classifier])
    images = builders.test_batches(config, test)
    right = classifier.predict(images, verbose=0).argmax(axis=1) == test.labels
    return float(np.mean(right))


def export(encoder: keras.Model, output_dir: pathlib.Path) -> None:
    """Writes an encoder as encoder.keras and saved_model/, each whole or not at all."""
    write_atomically(output_dir / "encoder.keras", encoder.save)
    temporary = output_dir / ".saved_model"
    shutil.rmtree(temporary, ignore_errors=True)
    encoder.export(temporary, verbose=False)
    shutil.rmtree(output_dir / "saved_model", ignore_errors=True)
    temporary.rename(output_dir / "saved_model")
