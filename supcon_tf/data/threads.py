"""A function of many items, in threads and in bounded memory."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# For functions that mostly wait: the disk can be in the network.
THREADS_FOR_DISKS = 32

# `Executor.map` starts with an object of about a kilobyte for every item.
_ITEMS_AT_A_TIME = 1024


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yields the results of a function in the order of the items.

    Args:
        function: the function, which several threads call.
        items: its arguments. They are taken when they are needed.
        threads: number of threads; by default that of `ThreadPoolExecutor`.
    """
    items = iter(items)
    with futures.ThreadPoolExecutor(threads) as pool:
        while some := list(itertools.islice(items, _ITEMS_AT_A_TIME)):
            yield from pool.map(function, some)
