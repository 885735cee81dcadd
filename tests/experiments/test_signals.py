"""Ctrl-C and SIGTERM end a training after its current step, with a checkpoint."""

import os
import pathlib
import signal
import sys

import keras
import numpy as np
import pytest

from experiments.benchmarks.small_training import STEPS, recipe, run, send_signal
from experiments.lib.clusters import start_cluster
from supcon_tf.callbacks import Checkpoints
from supcon_tf.commands import remaining_time

WORKER_SCRIPT = pathlib.Path(__file__).with_name("worker_signals.py")
CONFIG = recipe(checkpoint_steps=1000)  # No checkpoint is ever due.


def train(directory, number=signal.SIGINT, steps=()):
    return run(directory, CONFIG, send_signal(number, steps)), (directory / "log.csv").read_text()


@pytest.fixture(autouse=True)
def default_handlers():
    """Tests before this one can have ended `fit` by an error, which leaves its handlers."""
    previous = {
        number: signal.signal(number, handler)
        for number, handler in [
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ]
    }
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return train(tmp_path_factory.mktemp("uninterrupted"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, STEPS, STEPS + 2])
def test_an_interrupted_training_resumes(number, step, tmp_path, expected, capsys):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as error:
        train(tmp_path, number, [step])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    if number == signal.SIGTERM:
        assert error.value.code == 128 + signal.SIGTERM
    else:
        assert str(error.value).startswith("stopped; the same command resumes from the newest")
    assert f"stopped at step {step}, saved in {tmp_path}/checkpoints" in capsys.readouterr().out
    assert (tmp_path / f"checkpoints/checkpoint-{step}.index").exists()
    weights, log = train(tmp_path)
    for weight, other in zip(weights, expected[0], strict=True):
        np.testing.assert_array_equal(weight, other)
    assert log == expected[1]


def test_a_second_ctrl_c_does_not_wait_for_a_checkpoint(tmp_path):
    with pytest.raises(SystemExit, match=r"^stopped; the same command"):
        train(tmp_path, steps=[2, 2])
    assert not list(tmp_path.glob("checkpoints/*.index"))


def test_a_repeated_sigterm_waits_for_the_checkpoint(tmp_path):
    with pytest.raises(SystemExit):
        train(tmp_path, signal.SIGTERM, [2, 2])
    assert (tmp_path / "checkpoints/checkpoint-2.index").exists()


def test_a_signal_during_a_save_waits_for_its_end(tmp_path, monkeypatch):
    replace, sent = os.replace, []

    def interrupt(source, target):
        if "checkpoint-3" in str(target) and not sent:
            sent.append(target)
            os.kill(os.getpid(), signal.SIGTERM)
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(SystemExit):
        run(tmp_path)
    assert sent
    assert Checkpoints(tmp_path / "checkpoints").step == 3


def fit(directory, callbacks=()):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    x = np.ones([6, 2])
    callbacks = [*callbacks, Checkpoints(directory)]
    model.fit(x, x[:, :1], batch_size=1, callbacks=callbacks, verbose=0)


def test_the_handler_of_the_program_runs_after_the_checkpoint(tmp_path):
    saved = []

    def handler(number, frame):
        saved.append(Checkpoints(tmp_path).step)
        raise Stopped

    class Stopped(Exception):
        pass

    previous = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Stopped):
            fit(tmp_path, send_signal(signal.SIGTERM, [3]))
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert saved == [3]


def test_ctrl_c_is_a_keyboard_interrupt_in_plain_keras(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, send_signal(signal.SIGINT, [3]))
    assert Checkpoints(tmp_path).step == 3


def test_a_signal_during_the_last_validation_ends_the_program(tmp_path):
    def press(epoch, logs):
        os.kill(os.getpid(), signal.SIGTERM)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=press)]
    with pytest.raises(SystemExit):
        fit(tmp_path, callbacks)
    assert Checkpoints(tmp_path).step == 6


def test_after_an_error_in_fit_signals_take_effect_at_once(tmp_path):
    def fail(batch, logs):
        raise RuntimeError("an error")

    with pytest.raises(RuntimeError, match="an error"):
        fit(tmp_path, [keras.callbacks.LambdaCallback(on_train_batch_end=fail)])
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0)  # A call at which Python handles the signal.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_an_error_in_fit_another_fit_saves_on_sigterm(tmp_path):
    """The handler of the first one would end the process without an exception."""

    def fail(batch, logs):
        raise RuntimeError("an error")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="an error"):
            fit(tmp_path, [keras.callbacks.LambdaCallback(on_train_batch_end=fail)])
    with pytest.raises(SystemExit) as error:
        fit(tmp_path, send_signal(signal.SIGTERM, [3]))
    assert error.value.code == 128 + signal.SIGTERM
    assert Checkpoints(tmp_path).step == 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_ignored_signal_stays_ignored(tmp_path):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(tmp_path, send_signal(signal.SIGINT, [3]))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert Checkpoints(tmp_path).step == 6


def start_workers(directory, *names):
    return start_cluster([sys.executable, WORKER_SCRIPT, str(directory), *names], workers=2)


def finish(processes):
    for process in processes:
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output[-3000:]


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The directory of trainings of two workers that signals have ended, and that have resumed."""
    directory = tmp_path_factory.mktemp("workers")
    finish(start_workers(directory, "uninterrupted", "SIGTERM to one", "SIGINT to both"))
    return directory


def weights_of(results, name):
    return [results[f"{name}/weight {k}"] for k in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codes"), [("SIGTERM to one", [143, 143]), ("SIGINT to both", [1, 1])]
)
def test_workers_save_the_same_step_and_resume(workers, name, codes):
    with np.load(workers / "SIGINT to both.npz") as results:
        assert results[f"{name}/step"] == 6
        assert list(results[f"{name}/codes"]) == codes
        np.testing.assert_equal(weights_of(results, name), weights_of(results, "uninterrupted"))


@pytest.mark.slow
def test_when_a_worker_is_killed_the_other_ends_and_both_resume(workers):
    survivor, victim = start_workers(workers, "SIGKILL to one")
    survivor.communicate(timeout=60)  # Raises if it hangs.
    victim.communicate()
    assert survivor.returncode != 0
    assert victim.returncode == -signal.SIGKILL
    assert Checkpoints(workers / "SIGKILL to one" / "checkpoints").step == 6
    finish(start_workers(workers, "SIGKILL to one"))
    with (
        np.load(workers / "SIGKILL to one.npz") as results,
        np.load(workers / "SIGINT to both.npz") as expected,
    ):
        np.testing.assert_equal(
            weights_of(results, "SIGKILL to one"), weights_of(expected, "uninterrupted")
        )


def test_remaining_time(tmp_path, capsys, monkeypatch):
    clock = iter([100.0, 110.0, 120.0, 130.0])
    monkeypatch.setattr(remaining_time.time, "monotonic", lambda: next(clock))
    callback = remaining_time.RemainingTime(steps=60, first_step=20)
    for steps in (10, 20, 10):
        callback.set_params({"steps": steps})
        callback.on_epoch_end(0)
    # 10 s for 10 of 40 steps, then 20 s for 30 steps.
    assert capsys.readouterr().out.splitlines() == ["about 0:00:30 left", "about 0:00:07 left"]
