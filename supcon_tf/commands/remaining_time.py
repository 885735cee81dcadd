"""Estimates the remaining time of a training."""

import datetime
import time
from typing import Any

import keras


class RemainingTime(keras.callbacks.Callback):
    """Prints the estimated remaining time after every epoch.

    Args:
        steps: number of steps of the whole training.
        first_step: the step at which the training starts or resumes.
    """

    def __init__(self, steps: int, first_step: int):
        super().__init__()
        self._remaining_steps = steps - first_step
        self._finished_steps = 0
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints the estimate."""
        self._finished_steps += self.params["steps"]
        self._remaining_steps -= self.params["steps"]
        if self._remaining_steps:
            text = format_remaining_time(self._start, self._finished_steps, self._remaining_steps)
            print(text, flush=True)


def format_remaining_time(start: float, finished: int, remaining: int) -> str:
    """Formats the remaining time at the mean pace since the start.

    Args:
        start: the value of `time.monotonic` at the start.
        finished: number of parts finished since the start, at least one.
        remaining: number of remaining parts.
    """
    seconds = (time.monotonic() - start) / finished * remaining
    return f"about {datetime.timedelta(seconds=round(seconds))} left"
