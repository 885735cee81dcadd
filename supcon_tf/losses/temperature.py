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

# A context variable is local to its thread. Replicas trace their steps in separate threads.
_step: contextvars.ContextVar[Any] = contextvars.ContextVar("step", default=None)


def check_temperature(temperature: Any) -> Temperature:
    """Returns a valid temperature, as a Python number if it is a number.

    Raises:
        ValueError: if it is neither a number above 0 nor a schedule nor a variable.
    """
    if isinstance(temperature, (LearningRateSchedule, *_VARIABLES)):
        return temperature
    return check_positive("temperature", temperature)


@contextlib.contextmanager
def at_step(step: Any) -> Iterator[None]:
    """Sets the training step at which losses inside the `with` block evaluate schedules.

    Args:
        step: the number of completed steps: a number, or a variable such as `optimizer.iterations`.
    """
    token = _step.set(step)
    try:
        yield
    finally:
        _step.reset(token)


def current_temperature(temperature: Temperature) -> float | tf.Tensor:
    """Returns the current value of a temperature.

    Args:
        temperature: a temperature, from `check_temperature`.

    Returns:
        A number if the temperature is a number. Otherwise a scalar tensor without a gradient, which
        is NaN if the value is not above 0.

    Raises:
        ValueError: for a schedule outside of `at_step`.
    """
    if isinstance(temperature, float):
        return temperature
    if isinstance(temperature, _VARIABLES):
        value = tf.convert_to_tensor(temperature)
    elif _step.get() is None:
        raise ValueError(
            "`temperature` can be a schedule only in the contrastive models of supcon_tf, which "
            "know the training step. In other models pass a `keras.Variable` and let a callback "
            f"assign it. Received: temperature={temperature!r}"
        )
    else:
        value = tf.convert_to_tensor(temperature(_step.get()))
    value = tf.stop_gradient(value)  # a temperature is set, not learned
    return tf.where(value > 0, value, tf.constant(float("nan"), value.dtype))


def temperature_variables(temperature: Temperature) -> list[tf.Variable]:
    """Returns a list of the variable of a temperature, empty if it has none."""
    if isinstance(temperature, keras.Variable):
        return [temperature.value]
    return [temperature] if isinstance(temperature, tf.Variable) else []


def serialize_temperature(temperature: Temperature) -> Any:
    """Converts a temperature to a config, which stores only the value of a variable."""
    if isinstance(temperature, LearningRateSchedule):
        return keras.saving.serialize_keras_object(temperature)
    if isinstance(temperature, _VARIABLES):
        return {"variable": float(tf.convert_to_tensor(temperature))}
    return temperature


def deserialize_temperature(config: Any) -> Temperature:
    """Rebuilds a temperature from the result of `serialize_temperature`."""
    if isinstance(config, dict) and "variable" in config:
        return keras.Variable(config["variable"], trainable=False, name="temperature")
    if isinstance(config, dict):
        return keras.saving.deserialize_keras_object(config)
    return config
