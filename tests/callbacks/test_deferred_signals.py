import signal

import pytest

from supcon_tf.callbacks._signals import DeferredSignals


@pytest.fixture(autouse=True)
def handler():
    """A handler of SIGINT that records calls, and that a test must leave as it was."""
    received = []

    def record(number, frame):
        received.append(number)

    previous = signal.signal(signal.SIGINT, record)
    yield received
    assert signal.getsignal(signal.SIGINT) is record
    signal.signal(signal.SIGINT, previous)


def fit(signals, numbers):
    """Has the name of the function that the class looks for."""
    signals.start(lambda number: None)
    for number in numbers:
        signal.raise_signal(number)


def test_a_signal_is_held_back_and_a_second_one_is_delivered(handler):
    signals = DeferredSignals()
    announced = []

    def fit():
        signals.start(announced.append)
        signal.raise_signal(signal.SIGINT)
        assert signals.received == signal.SIGINT
        assert handler == []
        with pytest.raises(SystemExit) as error:
            signal.raise_signal(signal.SIGINT)
        assert error.value.code == 128 + signal.SIGINT

    fit()
    assert announced == handler == [signal.SIGINT]


def test_a_signal_after_an_error_in_fit_is_delivered(handler):
    signals = DeferredSignals()
    fit(signals, [])  # ends without `stop`
    signal.raise_signal(signal.SIGINT)
    assert signals.received is None
    assert handler == [signal.SIGINT]


def test_handlers_of_a_fit_that_an_error_ended_are_removed(handler):
    ended, second, third = DeferredSignals(), DeferredSignals(), DeferredSignals()
    fit(ended, [])
    fit(second, [])
    fit(third, [signal.SIGINT])
    assert third.received == signal.SIGINT
    assert ended._previous == second._previous == {}
    third.stop()
