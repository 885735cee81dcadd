"""Signals that end a training after its current step."""

import inspect
import signal
import threading
import types
from collections.abc import Callable
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DeferredSignals:
    """Holds back SIGINT (Ctrl-C) and SIGTERM during `fit`.

    A second SIGINT takes effect at once. A repeated SIGTERM does not, because some schedulers send
    it twice; they send SIGKILL to end a process at once.

    Attributes:
        received: the signal that is held back, or `None`.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}
        self._fit: types.FrameType | None = None

    def start(self, announce: Callable[[int], None]) -> None:
        """Begins to hold signals back. Only the main thread can do this.

        Args:
            announce: called with the signal when it arrives.
        """
        self.stop()
        self.received = None
        if threading.current_thread() is not threading.main_thread():
            return
        self._announce = announce
        self._fit = _find_fit()
        for number in _SIGNALS:
            _remove_stale_handlers(number)
            # A process that ignores a signal, for example under nohup, continues to ignore it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)

    def stop(self) -> None:
        """Restores the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
        self._fit = None

    def deliver(self, number: int) -> None:
        """Restores the previous handlers and gives the signal to its own.

        Raises:
            KeyboardInterrupt: for SIGINT, by the handler of Python.
            SystemExit: for SIGTERM, unless the program has a handler that raises another exception.
        """
        self.stop()
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.raise_signal(number)
        raise SystemExit(128 + number)

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        if not self._is_in_fit(frame):  # An error has ended `fit` without a call of `stop`.
            self.stop()
            signal.raise_signal(number)
        elif self.received is None:
            self.received = number
            self._announce(number)
        elif number == signal.SIGINT:
            self.deliver(number)

    def _is_in_fit(self, frame: types.FrameType | None) -> bool:
        while frame is not None and frame is not self._fit:
            frame = frame.f_back
        return frame is not None


def _remove_stale_handlers(number: int) -> None:
    """Removes the handlers of calls of `fit` that an error has ended."""
    while True:
        owner = getattr(signal.getsignal(number), "__self__", None)
        if not isinstance(owner, DeferredSignals) or owner._is_in_fit(inspect.currentframe()):
            break
        owner.stop()


def _find_fit() -> types.FrameType | None:
    """Returns the frame of the innermost `fit` that calls this function, or the outermost frame."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None and frame.f_code.co_name != "fit":
        frame = frame.f_back
    return frame
