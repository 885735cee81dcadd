"""Builds the learning rate schedules of the recipes."""

from typing import Any

from keras.optimizers import schedules
from ml_collections import ConfigDict

from supcon_tf.optimizers import WarmUp


def build_learning_rate(
    config: ConfigDict, *, batch_size: int, epochs: int, steps_per_epoch: int
) -> schedules.LearningRateSchedule:
    """Builds a linear warm-up followed by a decay.

    Args:
        config: `learning_rate`, the peak for a batch of 256 images, and `schedule` with the `name`
            of the decay, the arguments of the decay, `warmup_epochs`, and `warmup_start`, a
            learning rate that is not scaled by the batch.
        batch_size: number of images in the global batch. The peak is proportional to it.
        epochs: number of epochs of the training.
        steps_per_epoch: number of steps of an epoch.
    """
    arguments = dict(config.schedule)
    name = arguments.pop("name")
    warmup_steps = round(arguments.pop("warmup_epochs") * steps_per_epoch)
    warmup_start = arguments.pop("warmup_start")
    if name not in DECAYS:
        raise ValueError(f"`schedule.name` must be one of {list(DECAYS)}. Received: {name!r}")
    decay = DECAYS[name](
        config.learning_rate * batch_size / 256,
        max(1, epochs * steps_per_epoch - warmup_steps),
        steps_per_epoch,
        **arguments,
    )
    return WarmUp(decay, warmup_steps, start=warmup_start)


def _cosine(peak: float, steps: int, steps_per_epoch: int, final: float) -> Any:
    return schedules.CosineDecay(peak, steps, alpha=final)


def _steps(
    peak: float, steps: int, steps_per_epoch: int, epochs: tuple[float, ...], factor: float
) -> Any:
    boundaries = [round(epoch * steps_per_epoch) for epoch in epochs]
    values = [peak * factor**k for k in range(len(boundaries) + 1)]
    return schedules.PiecewiseConstantDecay(boundaries, values)


def _exponential(
    peak: float, steps: int, steps_per_epoch: int, every_epochs: float, factor: float
) -> Any:
    every_steps = max(1, round(every_epochs * steps_per_epoch))
    return schedules.ExponentialDecay(peak, every_steps, factor, staircase=True)


# Each function takes the peak, the number of steps after the warm-up, the number of steps of an
# epoch, and the fields of the schedule.
DECAYS = {
    "cosine": _cosine,
    "steps": _steps,
    "exponential": _exponential,
}

# Decays that do not depend on the number of epochs.
ENDLESS_DECAYS = ("steps", "exponential")
