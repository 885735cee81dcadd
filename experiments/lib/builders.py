"""Builds what the fields of a recipe describe: policies, encoders, losses and optimizers."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib.learning_rates import build_learning_rate
from supcon_tf import augmentation, optimizers
from supcon_tf.commands.saved_models import check_classes, load_model
from supcon_tf.commands.standardized_encoder import standardize_pixels

POLICIES = {
    "crop_flip": augmentation.crop_flip,
    "sim_augment": augmentation.sim_augment,
    "auto_augment": augmentation.auto_augment,
    "rand_augment": augmentation.rand_augment,
    "stacked_rand_augment": augmentation.stacked_rand_augment,
}
ENCODERS = {
    "resnet": supcon_tf.encoders.resnet,
    "efficientnet_v2": supcon_tf.encoders.efficientnet_v2,
    "convnext": supcon_tf.encoders.convnext,
    "vit": supcon_tf.encoders.vit,
}
LOSSES = {
    "supcon": supcon_tf.SupConLoss,
    "generalized": supcon_tf.GeneralizedSupConLoss,
    "n_pairs": supcon_tf.NPairsLoss,
    "triplet": supcon_tf.TripletLoss,
    "max_margin": supcon_tf.MaxMarginLoss,
}
OPTIMIZERS = {
    "sgd": optimizers.SGDWithL2,
    "rmsprop": optimizers.RMSpropWithL2,
    "lars": optimizers.LARS,
    "adam": keras.optimizers.Adam,
    "adamw": optimizers.AdamW,
}


def build_policy(config: ConfigDict, size: int) -> augmentation.Transform:
    """Builds the augmentation policy `config.policy` for views of `size` pixels.

    The other fields are the arguments of the policy.
    """
    arguments = dict(config)
    return _choose("augmentation.policy", arguments.pop("policy"), POLICIES)(size, **arguments)


def build_mixing(config: ConfigDict) -> augmentation.Mixing | None:
    """Builds the mixing of images, or returns `None` if `kind` is empty."""
    return augmentation.Mixing(**dict(config)) if config.kind else None


def build_encoder(config: ConfigDict, size: int, channels: int) -> keras.Model:
    """Builds an encoder of images in [0, 1], which it standardizes.

    Args:
        config: the `mean` and `std` of the pixels; `name`, by default `"resnet"`. The other fields
            are the arguments of this function of `supcon_tf.encoders`.
        size: side of the images in pixels.
        channels: number of channels of the images.
    """
    arguments = dict(config)
    build = _choose("encoder.name", arguments.pop("name", "resnet"), ENCODERS)
    mean, std = (_per_channel(arguments.pop(name), channels) for name in ("mean", "std"))
    return standardize_pixels(build(input_shape=(size, size, channels), **arguments), mean, std)


def build_loss(config: ConfigDict) -> keras.losses.Loss:
    """Builds the contrastive loss `config.name`; the other fields are its arguments."""
    arguments = dict(config)
    return _choose("loss.name", arguments.pop("name"), LOSSES)(**arguments)


def build_distillation(
    config: ConfigDict, class_names: Sequence[str]
) -> supcon_tf.Distillation | None:
    """Builds the distillation from a teacher, or returns `None` if `path` is empty.

    Args:
        config: the `path`, `weight`, `temperature` and `from_logits` of the teacher.
        class_names: the classes of the training images.

    Raises:
        FileNotFoundError: if the file of the teacher does not exist.
        ValueError: if the teacher has other classes than the images.
    """
    if not config.path:
        return None
    if not pathlib.Path(config.path).is_file():
        raise FileNotFoundError(
            "`teacher.path` must be a classifier as a .keras file, which `python -m "
            "experiments.train_teacher` writes: --config.teacher.path=FILE. "
            f"Received: {config.path!r}"
        )
    teacher = load_model(config.path)
    check_classes(config.path, teacher, class_names)
    return supcon_tf.Distillation(
        teacher,
        weight=config.weight,
        temperature=config.temperature,
        from_logits="auto" if config.from_logits is None else config.from_logits,
    )


def build_optimizer(
    config: ConfigDict, *, batch_size: int, epochs: int, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Builds the optimizer `config.name` with its `arguments` and its learning rate.

    Args:
        config: the optimizer of a recipe.
        batch_size: number of images in the global batch.
        epochs: number of epochs of the training.
        steps_per_epoch: number of steps of an epoch.
    """
    learning_rate = build_learning_rate(
        config, batch_size=batch_size, epochs=epochs, steps_per_epoch=steps_per_epoch
    )
    build = _choose("optimizer.name", config.name, OPTIMIZERS)
    return build(learning_rate, **dict(config.arguments))


def build_compiled_model(
    build: Callable[[], keras.Model],
    batches: tf.data.Dataset,
    stage: ConfigDict,
    strategy: tf.distribute.Strategy,
    compile_arguments: Callable[[], dict[str, Any]],
) -> tuple[keras.Model, int]:
    """Builds and compiles the model of a stage, with its metrics and its optimizer.

    Args:
        build: builds the model.
        batches: the batches of an epoch.
        stage: `optimizer`, `batch_size` and `epochs` of the training.
        strategy: a strategy of tf.distribute. Both functions run in its scope.
        compile_arguments: returns arguments of `compile` besides the optimizer.

    Returns:
        The model, and the number of steps of an epoch.
    """
    steps_per_epoch = len(batches)
    with strategy.scope():
        model = build()
        optimizer = build_optimizer(
            stage.optimizer,
            batch_size=stage.batch_size,
            epochs=stage.epochs,
            steps_per_epoch=steps_per_epoch,
        )
        model.compile(optimizer, **compile_arguments())
    model.build_from(batches)
    return model, steps_per_epoch


def _choose(field: str, name: str, choices: Mapping[str, Any]) -> Any:
    if name not in choices:
        raise ValueError(f"`{field}` must be one of {list(choices)}. Received: {name!r}")
    return choices[name]


def _per_channel(values: tuple[float, ...], channels: int) -> list[float]:
    """Returns a number for each channel; gray images take the mean of the given numbers."""
    if len(values) == channels:
        return list(values)
    return [sum(values) / len(values)] * channels
