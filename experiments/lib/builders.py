"""What a recipe's fields stand for: policies, encoders, losses, optimizers."""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras.optimizers import schedules
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import saved_models
from supcon_tf import augmentation, optimizers
from supcon_tf.data import ImageSource, image_batches

POLICIES = {
    "crop_flip": augmentation.crop_flip,
    "sim_augment": augmentation.sim_augment,
    "auto_augment": augmentation.auto_augment,
    "rand_augment": augmentation.rand_augment,
    "stacked_rand_augment": augmentation.stacked_rand_augment,
}
OPTIMIZERS = {
    "sgd": optimizers.SGDWithL2,
    "rmsprop": optimizers.RMSpropWithL2,
    "lars": optimizers.LARS,
    "adam": keras.optimizers.Adam,
}
LOSSES = {
    "supcon": supcon_tf.SupConLoss,
    "generalized": supcon_tf.GeneralizedSupConLoss,
    "n_pairs": supcon_tf.NPairsLoss,
    "triplet": supcon_tf.TripletLoss,
    "max_margin": supcon_tf.MaxMarginLoss,
}
ENCODERS = {
    "resnet": supcon_tf.encoders.resnet,
    "efficientnet_v2": supcon_tf.encoders.efficientnet_v2,
}
FROM_LOGITS: dict[str, bool | str] = {"auto": "auto", "logits": True, "probabilities": False}


def policy(config: ConfigDict, size: int) -> augmentation.Transform:
    """Makes the policy `config.policy` for views of `size` pixels from the other fields."""
    arguments = dict(config)
    return _chosen("augmentation.policy", arguments.pop("policy"), POLICIES)(size, **arguments)


def encoder(config: ConfigDict, size: int, channels: int) -> keras.Model:
    """Makes the encoder that takes images in [0, 1] and standardizes them as `config` says.

    Args:
        config: `mean` and `std` of the pixels; `name`, by default `"resnet"`; the others are
            arguments of this function of `supcon_tf.encoders`.
        size: side of the images in pixels.
        channels: of the images.
    """
    arguments = dict(config)
    build = _chosen("encoder.name", arguments.pop("name", "resnet"), ENCODERS)
    mean, std = (_per_channel(arguments.pop(name), channels) for name in ("mean", "std"))
    backbone = build(input_shape=(size, size, channels), **arguments)
    standardized = keras.layers.Normalization(mean=mean, variance=[s**2 for s in std], axis=-1)
    return keras.Sequential(
        [keras.Input((size, size, channels), name="images"), standardized, backbone], name="encoder"
    )


def loss(config: ConfigDict) -> keras.losses.Loss:
    """Makes the contrastive loss `config.name` from the other fields."""
    arguments = dict(config)
    return _chosen("loss.name", arguments.pop("name"), LOSSES)(**arguments)


def mixing(config: ConfigDict) -> augmentation.Mixing | None:
    """Makes the mixing of a recipe, if it has a `kind`."""
    return augmentation.Mixing(**dict(config)) if config.kind else None


def distillation(config: ConfigDict) -> supcon_tf.Distillation | None:
    """Builds the distillation from the teacher of a recipe, `None` if it has no `path`.

    Raises:
        FileNotFoundError: if there is no file.
    """
    if not config.path:
        return None
    if not pathlib.Path(config.path).is_file():
        raise FileNotFoundError(
            "`teacher.path` must be a classifier as a .keras file, such as `python -m "
            "experiments.train_teacher` writes: --config.teacher.path=FILE. "
            f"Received: {config.path!r}"
        )
    return supcon_tf.Distillation(
        saved_models.load(config.path),
        weight=config.weight,
        temperature=config.temperature,
        from_logits=FROM_LOGITS[config.gives],
    )


def optimizer(
    config: ConfigDict, *, batch_size: int, epochs: int, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Makes the optimizer `config.name` with its learning rate schedule.

    Args:
        config: `learning_rate`, the peak for a batch of 256 images; `arguments` of the optimizer;
            and `schedule`: `name` (`"cosine"`, `"steps"`, `"exponential"` or `"constant"`), its own
            fields, `warmup_epochs` and `warmup_start`, a learning rate that is not scaled.
        batch_size: images of the global batch, to which the learning rate is in proportion.
        epochs: length of the training.
        steps_per_epoch: steps of an epoch.
    """
    schedule = dict(config.schedule)
    warmup = round(schedule.pop("warmup_epochs") * steps_per_epoch)
    start = schedule.pop("warmup_start")
    decay = _chosen("schedule.name", schedule.pop("name"), SCHEDULES)(
        config.learning_rate * batch_size / 256,
        max(1, epochs * steps_per_epoch - warmup),
        steps_per_epoch,
        **schedule,
    )
    kind = _chosen("optimizer.name", config.name, OPTIMIZERS)
    return kind(optimizers.WarmUp(decay, warmup, start=start), **dict(config.arguments))


def _cosine(peak: float, steps: int, steps_per_epoch: int, final: float) -> Any:
    return schedules.CosineDecay(peak, steps, alpha=final)


def _at_epochs(
    peak: float, steps: int, steps_per_epoch: int, epochs: list[float], factor: float
) -> Any:
    boundaries = [round(epoch * steps_per_epoch) for epoch in epochs]
    values = [peak * factor**k for k in range(len(boundaries) + 1)]
    return schedules.PiecewiseConstantDecay(boundaries, values)


def _exponential(
    peak: float, steps: int, steps_per_epoch: int, every_epochs: float, factor: float
) -> Any:
    every = max(1, round(every_epochs * steps_per_epoch))
    return schedules.ExponentialDecay(peak, every, factor, staircase=True)


def _constant(peak: float, steps: int, steps_per_epoch: int) -> Any:
    return schedules.PiecewiseConstantDecay([steps], [peak, peak])


# Each takes the peak, the steps after the warm-up, the steps of an epoch, and its own fields.
SCHEDULES = {
    "cosine": _cosine,
    "steps": _at_epochs,
    "exponential": _exponential,
    "constant": _constant,
}


def test_batches(config: ConfigDict, images: ImageSource) -> tf.data.Dataset:
    """Makes batches of whole images, of the size that a recipe is tested with."""
    return image_batches(
        images, size=config.image_size, short_side=config.test_short_side, batch_size=250
    )


def one_hot(dataset: tf.data.Dataset, num_classes: int) -> tf.data.Dataset:
    """Turns class ids into rows, of zeros where there is no label (-1)."""
    return dataset.map(lambda images, labels: (images, tf.one_hot(labels, num_classes)))


def cross_entropy(label_smoothing: float) -> dict[str, Any]:
    """Loss and metrics to compile a classifier of one-hot labels with."""
    return {
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        ),
        "metrics": [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top_5_accuracy"),
        ],
    }


def _per_channel(values: tuple[float, ...], channels: int) -> list[float]:
    """One number for each channel; gray images take the mean of three."""
    if len(values) == channels:
        return list(values)
    return [sum(values) / len(values)] * channels


def _chosen(field: str, name: str, choices: Mapping[str, Any]) -> Any:
    if name not in choices:
        raise ValueError(f"`{field}` must be one of {list(choices)}. Received: {name!r}")
    return choices[name]
