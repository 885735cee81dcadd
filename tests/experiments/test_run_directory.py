"""What a run does that finds its directory damaged, in use, or with the files of another run."""

import json
import os
import re
import shutil
import subprocess
import warnings

import keras
import numpy as np
import pytest

from experiments.benchmarks import small_training
from experiments.benchmarks.small_training import EPOCHS, STEPS, recipe, run
from experiments.lib.recipe_runs import prepare_run_dir
from supcon_tf import _files
from supcon_tf.callbacks import Checkpoints
from supcon_tf.commands.epoch_log import read_epoch_log


class Killed(Exception):
    pass


def stop_at(step):
    """Ends a training like a kill: without a checkpoint."""
    steps = iter(range(1, 100))

    def stop(batch, logs):
        if next(steps) == step:
            raise Killed

    return [keras.callbacks.LambdaCallback(on_train_batch_begin=stop)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("uninterrupted")
    return run(directory), directory


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run with checkpoints of the steps 3 and 6 and with the log of the first epoch."""
    directory = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(Killed):
        run(directory, callbacks=stop_at(8))
    return directory


@pytest.fixture
def directory(interrupted, tmp_path):
    """A copy of the interrupted run, on a path that scripts often get wrong."""
    return copy(interrupted, tmp_path)


@pytest.fixture(params=["interrupted", "finished"])
def any_directory(request, interrupted, uninterrupted, tmp_path):
    """A copy of the interrupted run or of the finished one."""
    source = interrupted if request.param == "interrupted" else uninterrupted[1]
    return copy(source, tmp_path)


def copy(directory, parent):
    path = parent / "täglicher Lauf 実験"
    shutil.copytree(directory, path, ignore=shutil.ignore_patterns(".lock*"))
    return path


def assert_same(weights, expected):
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(weight, other)


def make_file(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.write_bytes(b"\xff\xfe")


def make_directory(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def newest(directory, suffix):
    """Returns a file of the newest checkpoint."""
    indices = (directory / "checkpoints").glob("*.index")
    path = max(indices, key=lambda path: int(path.stem.split("-")[1]))
    return path.with_suffix(suffix)


INDEX, DATA = ".index", ".data-00000-of-00001"

# Each damage, and the warning with which the run continues or the error with which it ends.
HARMLESS = {
    "nothing": (lambda d: None, None),
    "config empty": (lambda d: (d / "config.json").write_bytes(b""), "config.json is damaged"),
    "config cut": (lambda d: cut(d / "config.json"), "config.json is damaged"),
    "config a list": (lambda d: (d / "config.json").write_text("[1]"), "config.json is damaged"),
    "config binary": (lambda d: (d / "config.json").write_bytes(b"\xff\0"), "json is damaged"),
    "no config": (lambda d: (d / "config.json").unlink(), None),
    "log cut": (lambda d: (d / "log.csv").open("a").write("0,0."), "1 damaged lines of .*log.csv"),
    "log garbage": (lambda d: (d / "log.csv").open("ab").write(b"\xff\0\n,,\n"), "damaged lines"),
    "log with a gap": (lambda d: (d / "log.csv").open("a").write("1,,\n"), "damaged lines"),
    "state empty": (lambda d: (d / "checkpoints/checkpoint").write_bytes(b""), None),
    "state garbage": (lambda d: (d / "checkpoints/checkpoint").write_bytes(b"\xff{"), None),
    "index cut": (lambda d: cut(newest(d, INDEX)), r"checkpoint-\d+ is damaged"),
    "index empty": (lambda d: newest(d, INDEX).write_bytes(b""), r"checkpoint-\d+ is damaged"),
    "index flipped": (lambda d: flip(newest(d, INDEX)), r"checkpoint-\d+ is damaged"),
    "no index": (lambda d: newest(d, INDEX).unlink(), None),
    "index a directory": (lambda d: make_directory(newest(d, INDEX)), r"checkpoint-\d+ is damaged"),
    "data cut": (lambda d: cut(newest(d, DATA)), r"checkpoint-\d+ is damaged"),
    "data empty": (lambda d: newest(d, DATA).write_bytes(b""), r"checkpoint-\d+ is damaged"),
    "data flipped": (lambda d: flip(newest(d, DATA)), r"checkpoint-\d+ is damaged"),
    "no data": (lambda d: newest(d, DATA).unlink(), r"checkpoint-\d+ is damaged"),
    "data a directory": (lambda d: make_directory(newest(d, DATA)), r"checkpoint-\d+ is damaged"),
    "no checkpoints": (lambda d: shutil.rmtree(d / "checkpoints"), None),
    "saved_model a file": (lambda d: make_file(d / "saved_model"), None),
    "lock garbage": (lambda d: (d / ".lock").write_bytes(b"\xff"), None),
    "owner garbage": (lambda d: (d / ".lock.json").write_bytes(b"\xff"), None),
    "tensorboard gone": (lambda d: shutil.rmtree(d / "tensorboard"), None),
}
FATAL = {
    "checkpoints a file": (
        lambda d: make_file(d / "checkpoints"), NotADirectoryError, "checkpoints must be a dir",
    ),
    "tensorboard a file": (
        lambda d: make_file(d / "tensorboard"), NotADirectoryError, "tensorboard must be a dir",
    ),
    "output a file": (lambda d: make_file(d), NotADirectoryError, "must be a directory. Remove"),
    "config a directory": (
        lambda d: make_directory(d / "config.json"), IsADirectoryError, "config.json must be a f",
    ),
    "log a directory": (
        lambda d: make_directory(d / "log.csv"), IsADirectoryError, "log.csv must be a file",
    ),
    "encoder a directory": (
        lambda d: make_directory(d / "encoder.keras"), IsADirectoryError, "encoder.keras must be",
    ),
    "all checkpoints cut": (
        lambda d: [cut(path) for path in d.glob("checkpoints/*.index")],
        RuntimeError, "All checkpoints are damaged. Remove them",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", HARMLESS)
def test_a_damaged_directory_changes_no_weights(any_directory, uninterrupted, damage):
    change, message = HARMLESS[damage]
    directory = any_directory
    change(directory)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = run(directory)
        log = read_epoch_log(directory / "log.csv")
    assert_same(weights, uninterrupted[0])
    caught = [str(each.message) for each in caught if "is not a valid" not in str(each.message)]
    if message is not None:
        assert any(re.search(message, text) for text in caught), caught
    assert log == read_epoch_log(uninterrupted[1] / "log.csv")
    assert (directory / "saved_model" / "saved_model.pb").is_file()
    assert set(json.loads((directory / "results.json").read_text())["history"]) >= {"loss"}


@pytest.mark.parametrize("damage", FATAL)
def test_a_path_that_cannot_be_used_is_named_before_anything_is_written(any_directory, damage):
    change, error, message = FATAL[damage]
    directory = any_directory
    change(directory)
    before = contents(directory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(error, match=message):
            prepare_run_dir(any_directory, recipe(), chief=True, inputs={"images": 8 * STEPS})
    assert contents(directory) == before


def contents(directory):
    """Returns the bytes of all files but the lock."""
    return {
        path: path.read_bytes()
        for path in [directory, *directory.rglob("*")]
        if path.is_file() and not path.name.startswith(".lock")
    }


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"seed": 1}, "seed"),
        ({"seed": 1, "optimizer": {"schedule": {"name": "steps"}}}, "optimizer, seed"),
        ({"optimizer": {"schedule": {"name": "cosine"}}, "epochs": 9}, "epochs, optimizer"),
    ],
)
@pytest.mark.parametrize("config", ["config", "no config"])
def test_another_recipe_is_an_error(directory, changes, names, config):
    HARMLESS["nothing" if config == "config" else "no config"][0](directory)
    before = contents(directory)
    with pytest.raises(ValueError, match=rf"settings \({names}\); choose another --output_dir"):
        run(directory, recipe(**changes))
    assert contents(directory) == before


def test_other_images_or_another_encoder_are_an_error(directory):
    with pytest.raises(ValueError, match=r"other settings \(encoder\)"):
        run(directory, inputs={"encoder": "b2"})


def test_checkpoints_of_another_run_are_an_error(directory, tmp_path):
    other = tmp_path / "other"
    with pytest.raises(Killed):
        run(other, callbacks=stop_at(8))
    shutil.rmtree(directory / "checkpoints")
    shutil.copytree(other / "checkpoints", directory / "checkpoints")
    with pytest.raises(ValueError, match="checkpoints holds checkpoints of another run.*Remove"):
        run(directory)


def test_fields_that_change_no_weights_can_change(directory, uninterrupted):
    weights = run(directory, recipe(data_dir="/elsewhere", checkpoint_steps=2))
    assert_same(weights, uninterrupted[0])


def test_a_run_without_checkpoints_leaves_its_directory_to_another_recipe(tmp_path):
    prepare_run_dir(tmp_path / "run", recipe(seed=7), chief=True)
    prepare_run_dir(tmp_path / "run", recipe(seed=8), chief=True)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config.pop("run_id")
    assert config == recipe(seed=8).to_dict()


@pytest.mark.slow
def test_a_finished_training_can_be_made_longer(tmp_path):
    run(tmp_path / "longer", recipe(epochs=2))
    longer = run(tmp_path / "longer", recipe(epochs=EPOCHS + 2))
    expected = run(tmp_path / "at once", recipe(epochs=EPOCHS + 2))
    assert_same(longer, expected)
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("longer", "at once")]
    assert logs[0] == logs[1]


def test_a_schedule_that_ends_with_the_training_cannot_be_continued(tmp_path):
    cosine = {"optimizer": {"schedule": {"name": "cosine"}}}
    run(tmp_path, recipe(**cosine))
    with pytest.raises(ValueError, match=r"\(epochs\).*learning rates from the first step on"):
        run(tmp_path, recipe(epochs=EPOCHS + 2, **cosine))


@pytest.mark.slow
def test_a_directory_in_use_names_the_process(directory, lock_elsewhere):
    process = lock_elsewhere(directory)
    before = contents(directory)
    with pytest.raises(
        RuntimeError, match=rf"in use by process {process.pid} on host {os.uname().nodename}"
    ):
        run(directory)
    assert contents(directory) == before
    process.kill()
    process.wait()
    _files.lock_directory(directory)  # A dead process holds no lock.


def test_leftovers_of_dead_processes_are_removed(directory):
    process = subprocess.Popen(["true"])
    process.wait()
    alive = directory / f".{os.getppid()}.encoder.keras"
    dead = [directory / f".{process.pid}.{name}" for name in ("encoder.keras", "config.json")]
    dead.append(directory / f".{os.getpid()}.log.csv")  # of an earlier process with this number
    folder = directory / "checkpoints" / f".{process.pid}.checkpoint-7"
    folder.mkdir()
    dead.append(folder / "checkpoint-7.data-00000-of-00001")
    dead.append(directory / "checkpoints" / "checkpoint-7.data-00000-of-00001")
    for path in (alive, *dead):
        path.write_bytes(b"")
    (directory / f".{process.pid}.saved_model").mkdir()
    run(directory)
    hidden = {path.name for path in directory.glob(".*")}
    assert hidden == {alive.name, ".lock", ".lock.json"}
    assert not [path for path in dead if path.exists()]
    assert not list((directory / "checkpoints").glob(".[0-9]*"))


@pytest.mark.parametrize("name", ["log.csv", "checkpoint-9"])
def test_a_full_disk(directory, uninterrupted, monkeypatch, name):
    """Training continues without a log, and ends without a checkpoint."""
    replace = os.replace

    def fail(source, target):
        if name in str(target):
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    if name == "log.csv":
        with pytest.warns(UserWarning, match="cannot be written: .*No space left.*log.csv"):
            weights = run(directory)
        assert_same(weights, uninterrupted[0])
        return
    with pytest.raises(OSError, match="checkpoint of step 9 cannot be written. Training resumes"):
        run(directory)
    monkeypatch.undo()
    assert_same(run(directory), uninterrupted[0])


def test_a_directory_that_vanishes_during_training(directory, uninterrupted):
    """The next checkpoint creates it again."""
    steps = iter(range(100))

    def vanish(batch, logs):
        if next(steps) == 1:
            shutil.rmtree(directory)

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=vanish)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = run(directory, callbacks=callbacks)
    assert_same(weights, uninterrupted[0])
    assert (directory / "encoder.keras").exists()


def test_weights_that_are_not_finite_are_not_restored(tmp_path):
    model = small_training.build_model()
    checkpoints = Checkpoints(tmp_path, save_freq=1, max_to_keep=3)
    x = np.ones([2, 3])
    model.fit(x, np.ones(2, int), batch_size=1, callbacks=[checkpoints], verbose=0)
    weights = model.get_weights()
    checkpoints._trained = []  # like a version that did not look
    model.trainable_variables[0].assign(model.trainable_variables[0] * np.nan)
    checkpoints.step = 3
    checkpoints.save(within_epoch=False)
    with pytest.raises(ValueError, match="checkpoint-3 must have finite weights. Remove it to"):
        Checkpoints(tmp_path).restore(small_training.build_model())
    for path in tmp_path.glob("checkpoint-3.*"):
        path.unlink()
    other = small_training.build_model()
    Checkpoints(tmp_path).restore(other)
    assert_same(other.get_weights(), weights)
