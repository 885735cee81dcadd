"""Temperatures of the contrastive losses: numbers, schedules and variables."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from supcon_tf._checks import check_positive

Temperature: TypeAlias = float | LearningRateSchedule | keras.Variable | tf.Variable

_VARIABLES = (keras.Variable, tf.Variable)

# Of each thread its own: replicas trace their steps in threads that wait for each other.
_step: contextvars.ContextVar[Any] = contextvars.ContextVar("step", default=None)


def checked(temperature: Any) -> Temperature:
    """Returns a temperature that a loss can take.

    Raises:
        ValueError: if it is neither a number above 0, a schedule nor a variable.
    """
    if isinstance(temperature, (LearningRateSchedule, *_VARIABLES)):
        return temperature
    return check_positive("temperature", temperature)


@contextlib.contextmanager
def at_step(step: Any) -> Iterator[None]:
    """Lets schedules see the step, while the `with` block computes losses.

    Args:
        step: how many steps have been made, a number or a variable such as `optimizer.iterations`.
    """
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)


def value_of(temperature: Temperature) -> float | tf.Tensor:
    """Returns the value of a temperature: a number, or a scalar tensor that is NaN if not above 0.

    Args:
        temperature: as from `checked`.

    Raises:
        ValueError: for a schedule outside of `at_step`.
    """
    if isinstance(temperature, float):
        return temperature
    if isinstance(temperature, _VARIABLES):
        value = tf.convert_to_tensor(temperature)
    elif _step.get() is None:
        raise ValueError(
            "`temperature` may be a schedule in the contrastive models of supcon_tf, which know the"
            " step; elsewhere pass a `keras.Variable` and let a callback assign it. Received: "
            f"temperature={temperature!r}"
        )
    else:
        value = tf.convert_to_tensor(temperature(_step.get()))
    value = tf.stop_gradient(value)  # a temperature is set, not learned
    return tf.where(value > 0, value, tf.constant(float("nan"), value.dtype))


def variables_of(temperature: Temperature) -> list[tf.Variable]:
    """Returns the variable of a temperature, if it is one."""
    if isinstance(temperature, keras.Variable):
        return [temperature.value]
    return [temperature] if isinstance(temperature, tf.Variable) else []


def serialize(temperature: Temperature) -> Any:
    """Returns what a configuration holds; of a variable its present value."""
    if isinstance(temperature, LearningRateSchedule):
        return keras.saving.serialize_keras_object(temperature)
    if isinstance(temperature, _VARIABLES):
        return {"variable": float(tf.convert_to_tensor(temperature))}
    return temperature


def deserialize(config: Any) -> Temperature:
    """Undoes `serialize`."""
    if isinstance(config, dict) and "variable" in config:
        return keras.Variable(config["variable"], trainable=False, name="temperature")
    if isinstance(config, dict):
        return keras.saving.deserialize_keras_object(config)
    return config
