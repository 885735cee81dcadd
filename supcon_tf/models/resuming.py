"""Training that continues at a step in the middle of its epochs."""

import abc
from collections.abc import Iterable
from typing import Any

import keras

_Arguments = dict[str, Any]


class ResumingCallback(keras.callbacks.Callback, abc.ABC):
    """A callback that restores the state of an earlier training."""

    @abc.abstractmethod
    def resume(self, model: keras.Model) -> int:
        """Restores the state of a model once, and returns the number of its training steps."""


def find_first_step(model: keras.Model, arguments: _Arguments, steps_per_epoch: int) -> int | None:
    """Returns the step at which `fit` resumes, or `None` without a `ResumingCallback`.

    Args:
        model: the model, which this function restores.
        arguments: arguments of `keras.Model.fit`.
        steps_per_epoch: number of steps of an epoch.

    Raises:
        ValueError: if `initial_epoch` is given beside the callback.
    """
    callbacks = arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    callback = next((x for x in callbacks if isinstance(x, ResumingCallback)), None)
    if callback is None:
        return None
    step = callback.resume(model)
    if arguments.get("initial_epoch", 0) not in (0, step // steps_per_epoch):
        raise ValueError(
            f"`initial_epoch` must be omitted with {type(callback).__name__}, which determines it. "
            f"Received: initial_epoch={arguments['initial_epoch']}, resuming at step {step} of "
            f"{steps_per_epoch} steps per epoch"
        )
    return step


def split_at_epochs(step: int, epochs: int, steps_per_epoch: int) -> list[_Arguments]:
    """Returns arguments of the calls of `keras.Model.fit` that train from a step to an epoch.

    An epoch that resumes has fewer steps than the others, so it is a call of its own.

    Args:
        step: number of training steps so far.
        epochs: number of the last epoch.
        steps_per_epoch: number of steps of an epoch.
    """
    epoch, finished_steps = divmod(step, steps_per_epoch)
    first_full_epoch = epoch + (finished_steps > 0)
    calls = [
        (epoch, first_full_epoch, steps_per_epoch - finished_steps),
        (first_full_epoch, epochs, steps_per_epoch),
    ]
    return [
        {"initial_epoch": first, "epochs": last, "steps_per_epoch": steps}
        for first, last, steps in calls
        if first < min(last, epochs)
    ]


def join(histories: list[keras.callbacks.History]) -> keras.callbacks.History:
    """Joins the histories of several calls of `fit` to one."""
    joined = keras.callbacks.History()
    joined.on_train_begin()
    for history in histories:
        joined.epoch += history.epoch
        for name, values in history.history.items():
            joined.history.setdefault(name, []).extend(values)
    return joined
