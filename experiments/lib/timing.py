"""Measures the time of functions."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def median_times(steps: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Runs functions in turn, so that other load affects all alike, and measures their times.

    Every function runs once before, and then at least three times.

    Args:
        steps: functions by name; each returns when its work is done.
        seconds: the time for all repetitions together.

    Returns:
        The median time of each function in seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
