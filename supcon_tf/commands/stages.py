"""The two stages of a training: the encoder, then a linear classifier."""

import dataclasses
import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from supcon_tf import augmentation, encoders, losses, metrics, models
from supcon_tf._files import write_atomically
from supcon_tf.callbacks import CollapseWarning
from supcon_tf.commands.divergence import require_finite_weights
from supcon_tf.commands.run_directory import prepare_run_dir
from supcon_tf.commands.settings import Settings, settings_to_json
from supcon_tf.commands.standardized_encoder import standardize_pixels
from supcon_tf.commands.training import fit
from supcon_tf.data import (
    ImageSource,
    batches_from_step,
    map_batches,
    multi_view_batches,
    training_batches,
)
from supcon_tf.optimizers import SGDWithL2, WarmUp

_TIMED_STEPS = 3


@dataclasses.dataclass(frozen=True)
class TrainingImages:
    """Images in memory with their targets.

    Attributes:
        source: the images. Its labels are the class ids; with several labels per image, they are
            the rows of `targets`.
        targets: `[images]` class ids, -1 for unlabelled images; or `[images, classes]` zeros and
            ones, with rows of zeros for unlabelled images.
        class_names: names of the classes.
    """

    source: ImageSource
    targets: NDArray[Any]
    class_names: tuple[str, ...]

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several labels."""
        return self.targets.ndim == 2

    def labeled(self) -> "TrainingImages":
        """Returns the images that have a label."""
        has_label = self.targets.max(axis=1) > 0 if self.multi_label else self.targets >= 0
        if has_label.all():
            return self
        # Unlabelled images are the last ones, so that rows of `targets` keep their numbers.
        indices = np.flatnonzero(has_label)
        return TrainingImages(self.source.take(indices), self.targets[indices], self.class_names)


def train_encoder(
    images: TrainingImages,
    settings: Settings,
    directory: pathlib.Path,
    *,
    seed: int,
    inputs: dict[str, Any],
) -> keras.Model:
    """Trains an encoder with a contrastive loss, or resumes its training.

    Args:
        images: the images, including unlabelled ones.
        settings: the settings.
        directory: the directory of the run. This stage writes encoder.keras and pretraining/.
        seed: seed of the weights, the order and the views.
        inputs: what identifies the images.

    Returns:
        The encoder, from images in [0, 1] to representations.
    """
    model, batches = prepare_encoder(images, settings, seed)
    _fit(
        model,
        batches,
        settings.epochs,
        directory / "pretraining",
        {**settings_to_json(settings), "seed": seed},
        inputs,
        [CollapseWarning()],
    )
    write_atomically(directory / "encoder.keras", model.encoder.save)
    return model.encoder


def train_classifier(
    encoder: keras.Model,
    images: TrainingImages,
    settings: Settings,
    directory: pathlib.Path,
    *,
    seed: int,
    inputs: dict[str, Any],
) -> models.LinearClassifier:
    """Trains a linear classifier on a frozen encoder, or resumes its training.

    Args:
        encoder: the trained encoder.
        images: the labeled images.
        settings: the settings.
        directory: the directory of the run. This stage writes classifier.keras and classifier/.
        seed: seed of the weights, the order and the views.
        inputs: what identifies the images.
    """
    model, batches = prepare_classifier(encoder, images, settings, seed)
    _fit(
        model,
        batches,
        settings.linear_epochs,
        directory / "classifier",
        {**settings_to_json(settings), "seed": seed},
        inputs,
        [],
    )
    write_atomically(directory / "classifier.keras", model.save)
    return model


def prepare_encoder(
    images: TrainingImages, settings: Settings, seed: int
) -> tuple[models.SupConModel, tf.data.Dataset]:
    """Creates the compiled model and the batches of the first stage."""
    keras.utils.set_random_seed(seed)
    policy = augmentation.sim_augment(
        settings.image_size,
        scale=(settings.crop_scale, 1.0),
        flip=settings.flip,
        strength=settings.color_strength,
    )
    views = multi_view_batches(images.source, policy, batch_size=settings.batch_size, seed=seed)
    batches = _with_targets(views, images)
    size = settings.image_size
    encoder = encoders.resnet(
        int(settings.encoder.removeprefix("resnet")),
        stem=settings.stem,
        width=settings.width,
        input_shape=(size, size, settings.channels),
    )
    model = models.SupConModel(
        standardize_pixels(encoder, settings.pixel_mean, settings.pixel_std),
        models.projection_head((encoder.output_shape[-1], 128)),
    )
    steps, warmup_steps = (
        round(epochs * len(batches)) for epochs in (settings.epochs, settings.warmup_epochs)
    )
    decay = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, max(1, steps - warmup_steps)
    )
    loss = losses.GeneralizedSupConLoss if images.multi_label else losses.SupConLoss
    model.compile(
        SGDWithL2(WarmUp(decay, warmup_steps), momentum=0.9, weight_decay=settings.weight_decay),
        loss=loss(settings.temperature),
        metrics=metrics.HEALTH,
    )
    model.build_from(batches)
    return model, batches


def prepare_classifier(
    encoder: keras.Model, images: TrainingImages, settings: Settings, seed: int
) -> tuple[models.LinearClassifier, tf.data.Dataset]:
    """Creates the compiled model and the batches of the second stage."""
    keras.utils.set_random_seed(seed)
    policy = augmentation.crop_flip(
        settings.image_size, scale=(settings.crop_scale, 1.0), flip=settings.flip
    )
    batch_size = min(settings.batch_size, len(images.source))
    batches = _with_targets(
        training_batches(images.source, policy, batch_size=batch_size, seed=seed), images
    )
    model = models.LinearClassifier(
        encoder, len(images.class_names), class_names=images.class_names
    )
    if images.multi_label:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    steps = settings.linear_epochs * len(batches)
    decay = keras.optimizers.schedules.CosineDecay(settings.linear_learning_rate, steps)
    model.compile(keras.optimizers.Adam(decay), loss=loss, metrics=[accuracy])
    model.build_from(batches)
    return model, batches


def measure_epochs(images: TrainingImages, settings: Settings) -> tuple[float, float]:
    """Trains both stages for a few steps, and returns the seconds of an epoch of each."""
    model, batches = prepare_encoder(images, settings, seed=0)
    seconds = _measure_epoch(model, batches)
    classifier = prepare_classifier(model.encoder, images.labeled(), settings, seed=0)
    return seconds, _measure_epoch(*classifier)


def _with_targets(batches: tf.data.Dataset, images: TrainingImages) -> tf.data.Dataset:
    """Replaces rows of the targets by the targets, if images have several labels."""
    if not images.multi_label:
        return batches
    targets = tf.constant(images.targets)
    return map_batches(batches, lambda views, rows: (views, tf.gather(targets, rows)))


def _fit(
    model: keras.Model,
    batches: tf.data.Dataset,
    epochs: int,
    directory: pathlib.Path,
    config: dict[str, Any],
    inputs: dict[str, Any],
    callbacks: list[keras.callbacks.Callback],
) -> None:
    steps = len(batches)
    # An interruption by a kill loses an epoch, or 200 steps.
    config = {**config, "checkpoint_steps": max(10, min(200, steps)), "checkpoints_kept": 2}
    checkpoints = prepare_run_dir(directory, config, chief=True, inputs=inputs)
    fit(
        model,
        batches,
        epochs=epochs,
        steps_per_epoch=steps,
        directory=directory,
        checkpoints=checkpoints,
        chief=True,
        callbacks=callbacks,
    )
    require_finite_weights(model)


def _measure_epoch(model: keras.Model, batches: tf.data.Dataset) -> float:
    """Returns the seconds of an epoch, without those of the first step, which compiles."""
    steps = iter(batches_from_step(batches, 0))
    model.train_on_batch(*next(steps))
    start = time.monotonic()
    for _ in range(_TIMED_STEPS):
        model.train_on_batch(*next(steps))
    return (time.monotonic() - start) / _TIMED_STEPS * len(batches)
