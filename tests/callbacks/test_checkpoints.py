import collections
import pathlib
import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.callbacks import Checkpoints

STEPS, EPOCHS, BATCH = 5, 3, 16  # steps per epoch


class Killed(Exception):
    pass


def train(directory, *, stop_at=None, save_freq=4, max_to_keep=2, dropout=0.3, learning_rate=0.05):
    """Trains like a script that is started again. Returns the weights and the logs per epoch."""
    keras.utils.set_random_seed(0)
    digits = supcon_tf.data.load_digits("train").take(np.arange(STEPS * BATCH))
    policy = supcon_tf.augmentation.crop_flip(8, flip=False)
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(dropout),
        ]
    )
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((8,)))
    model.compile(
        supcon_tf.optimizers.SGDWithL2(learning_rate, momentum=0.9),
        loss=supcon_tf.SupConLoss(),
        metrics=[supcon_tf.metrics.alignment, supcon_tf.metrics.uniformity],
    )
    checkpoints = Checkpoints(directory, save_freq=save_freq, max_to_keep=max_to_keep)
    logs_of_epochs = {}

    def stop(batch, logs):
        if checkpoints.step == stop_at:
            raise Killed

    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=stop,
        on_epoch_end=lambda epoch, logs: logs_of_epochs.__setitem__(epoch, dict(logs)),
    )
    model.fit(
        supcon_tf.data.multi_view_batches(digits, policy, batch_size=BATCH),
        epochs=EPOCHS,
        callbacks=[checkpoints, watch],
        verbose=0,
    )
    return model.get_weights(), logs_of_epochs


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("uninterrupted"))


def saved(directory):
    return sorted(int(path.stem.split("-")[1]) for path in pathlib.Path(directory).glob("*.index"))


def assert_same(outcome, expected):
    for actual, weight in zip(outcome[0], expected[0], strict=True):
        np.testing.assert_array_equal(actual, weight)
    for epoch, logs in outcome[1].items():
        assert logs == expected[1][epoch]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The checkpoints of an interrupted run."""
    directory = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(Killed):
        train(directory, stop_at=10)
    return directory


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize(("save_freq", "stop_at"), [(4, 10), (STEPS, STEPS + 1)])
def test_training_resumes_at_the_exact_step(
    tmp_path, interrupted, uninterrupted, save_freq, stop_at
):
    directory = tmp_path / "copy"
    if save_freq == 4:
        shutil.copytree(interrupted, directory)
    else:
        with pytest.raises(Killed):
            train(directory, save_freq=save_freq, stop_at=stop_at)
    due = range(save_freq, STEPS * EPOCHS, save_freq)
    assert saved(directory) == [step for step in due if step <= stop_at][-2:]
    outcome = train(directory, save_freq=save_freq)
    assert_same(outcome, uninterrupted)
    first_epoch = stop_at // save_freq * save_freq // STEPS
    assert min(outcome[1]) == first_epoch  # Earlier epochs are not repeated.
    assert saved(directory) == [due[-1], STEPS * EPOCHS]


@pytest.mark.gpu
def test_a_checkpoint_due_at_the_end_of_an_epoch_is_saved_after_its_logs(tmp_path):
    order = []

    class Writes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            order.append(saved(tmp_path))

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    checkpoints = Checkpoints(tmp_path, save_freq=2, max_to_keep=9)
    x = np.ones([4, 2])
    callbacks = [Writes(), checkpoints]
    model.fit(x, x[:, :1], batch_size=1, epochs=2, callbacks=callbacks, verbose=0)
    assert order == [[2], [2, 4, 6]]
    assert saved(tmp_path) == [2, 4, 6, 8]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated data", "flipped data", "truncated index", "no data"])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_is_used(
    tmp_path, interrupted, uninterrupted, damage
):
    directory = tmp_path / "copy"
    shutil.copytree(interrupted, directory)
    part = "index" if "index" in damage else "data-00000-of-00001"
    path = directory / f"checkpoint-8.{part}"
    content = bytearray(path.read_bytes())
    if "truncated" in damage:
        path.write_bytes(content[: len(content) // 2])
    elif damage == "no data":
        path.unlink()
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    with pytest.warns(UserWarning, match="checkpoint-8 is damaged"):
        assert Checkpoints(directory).step == 4
    if damage == "flipped data":
        with pytest.warns(UserWarning, match="checkpoint-8 is damaged"):
            outcome = train(directory)
        assert_same(outcome, uninterrupted)


def test_only_damaged_checkpoints_are_an_error(tmp_path, interrupted):
    directory = tmp_path / "copy"
    shutil.copytree(interrupted, directory)
    for path in directory.glob("*.index"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(RuntimeError, match="All checkpoints are damaged. Remove them"),
    ):
        Checkpoints(directory)


def test_a_model_that_is_not_built_is_an_error(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="must be built: add an `Input`"):
        Checkpoints(tmp_path).restore(model)


def test_a_checkpoint_of_another_model_is_an_error(interrupted):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="is not a checkpoint of this model and optimizer"):
        x = np.ones([4, 2])
        model.fit(x, x[:, :1], callbacks=[Checkpoints(interrupted)], verbose=0)


def test_an_unwritable_directory_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        train(tmp_path / "file" / "checkpoints", stop_at=1)


def test_a_full_disk_is_an_error_before_the_first_step(tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(
        OSError, match="room for 3 more checkpoints of 0 MB. Received: a disk with 0 MB"
    ):
        train(tmp_path, stop_at=1)
    assert not list(tmp_path.glob("[!.]*"))


@pytest.mark.slow
def test_a_training_that_resumes_needs_room_for_fewer_checkpoints(
    tmp_path, interrupted, monkeypatch
):
    shutil.copytree(interrupted, tmp_path / "copy")
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match="room for 1 more checkpoints"):
        train(tmp_path / "copy", stop_at=1)


@pytest.mark.parametrize("arguments", [{"save_freq": 0}, {"max_to_keep": 0}])
def test_bad_numbers(tmp_path, arguments):
    with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be an integer"):
        Checkpoints(tmp_path, **arguments)


def regression(optimizer="sgd", seed=0, **arguments):
    """A small compiled Keras model."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", **arguments)
    return model


def rows(count):
    rng = np.random.default_rng(0)
    return rng.normal(size=[count, 2]), rng.normal(size=[count, 1])


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("execution", [1, 4])
@pytest.mark.parametrize("accumulation", [None, 3])
def test_steps_are_counted_when_executions_do_not_divide_an_epoch(
    tmp_path, execution, accumulation
):
    """Also if the optimizer has a count already, and if it accumulates three gradients."""
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=accumulation)
    model = regression(optimizer, steps_per_execution=execution)
    model.fit(*rows(5), batch_size=1, verbose=0)
    checkpoints = Checkpoints(tmp_path, save_freq=8, max_to_keep=9)
    model.fit(*rows(14), batch_size=1, epochs=2, callbacks=[checkpoints], verbose=0)
    assert checkpoints.step == 28
    assert saved(tmp_path) == ([8, 16, 24, 28] if execution == 1 else [8, 18, 26, 28])


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.versions
def test_a_run_whose_executions_cross_epochs_resumes(tmp_path):
    """Keras runs 16 steps in an epoch of 14 if the dataset spans all epochs."""

    def train(directory, epochs):
        checkpoints = Checkpoints(directory, save_freq=100)
        model = regression(keras.optimizers.SGD(0.1, momentum=0.9), steps_per_execution=4)
        data = tf.data.Dataset.from_tensor_slices(rows(42)).batch(1).skip(checkpoints.step)
        arguments = {"steps_per_epoch": 14, "callbacks": [checkpoints], "verbose": 0}
        model.fit(data, epochs=epochs, **arguments)
        return checkpoints.step, model.get_weights()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that the data ends in the third epoch.
        assert train(tmp_path / "interrupted", epochs=1)[0] == 16
        step, weights = train(tmp_path / "interrupted", epochs=2)
        expected_step, expected = train(tmp_path / "uninterrupted", epochs=3)
    assert step == expected_step == 42
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.slow
def test_the_queue_of_keys_is_restored(tmp_path):
    """The queue, the momentum encoder and the order of the data determine the weights."""
    images = supcon_tf.data.load_digits("train").take(np.arange(24))
    policy = supcon_tf.augmentation.crop_flip(8)

    def fit(directory, epochs):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        model = supcon_tf.MomentumSupConModel(
            encoder, supcon_tf.projection_head((4,)), queue_size=16, momentum=0.5
        )
        model.compile("sgd", loss=supcon_tf.SupConLoss(), run_eagerly=True)
        views = supcon_tf.data.multi_view_batches(images, policy, batch_size=8)
        model.fit(views, epochs=epochs, callbacks=[Checkpoints(directory)], verbose=0)
        return model.get_weights()

    fit(tmp_path / "interrupted", 1)
    resumed, expected = fit(tmp_path / "interrupted", 2), fit(tmp_path / "uninterrupted", 2)
    for weight, other in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.slow
@pytest.mark.versions
def test_steps_on_replicas(tmp_path, two_replicas):
    with two_replicas.scope():
        encoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        model = supcon_tf.CrossEntropyModel(encoder, 2)  # traced in less time than a pair loss
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss=loss, steps_per_execution=4)
    data = tf.data.Dataset.from_tensor_slices((np.ones([28, 2]), np.arange(28) % 2))
    checkpoints = Checkpoints(tmp_path)
    model.fit(data.batch(4, drop_remainder=True), callbacks=[checkpoints], verbose=0)
    assert checkpoints.step == 7
    assert saved(tmp_path) == [7]


@pytest.mark.gpu
@pytest.mark.versions
def test_steps_that_loss_scaling_skips_are_counted(tmp_path):
    """The inner optimizer does not count them."""
    inner = keras.optimizers.SGD(1e-3)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=np.inf)
    checkpoints = Checkpoints(tmp_path)
    model = regression(optimizer)
    model.fit(*rows(5), batch_size=1, callbacks=[checkpoints], verbose=0)
    assert (checkpoints.step, int(inner.iterations)) == (5, 0)
    model.compile(optimizer, loss="mse", steps_per_execution=2)
    with pytest.raises(
        ValueError, match="must divide the number of steps of an epoch.*Received: steps_per"
    ):
        model.fit(*rows(5), batch_size=1, callbacks=[checkpoints], verbose=0)


@pytest.mark.gpu
@pytest.mark.parametrize(("save_freq", "kept"), [(1, [3, 4]), (100, [])])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, save_freq, kept):
    """Neither when a checkpoint is due nor when TerminateOnNaN ends the training."""
    x, y = rows(8)
    y[4:] = np.inf
    callbacks = [keras.callbacks.TerminateOnNaN(), Checkpoints(tmp_path, save_freq=save_freq)]
    with pytest.raises(FloatingPointError, match="is not finite after step 5, so"):
        regression().fit(x, y, batch_size=1, shuffle=False, callbacks=callbacks, verbose=0)
    assert saved(tmp_path) == kept


@pytest.mark.slow
@pytest.mark.versions
def test_a_second_fit_saves_its_own_model(tmp_path):
    """It starts from the newest checkpoint, like another process."""
    checkpoints = Checkpoints(tmp_path)
    data = rows(4)
    first, second = regression(), regression(seed=1)
    first.fit(*data, batch_size=1, callbacks=[checkpoints], verbose=0)
    saved_weights = first.get_weights()
    first.fit(*data, batch_size=1, verbose=0)  # This is not saved.
    first_weights = []
    watch = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: first_weights.extend(second.get_weights())
    )
    second.fit(*data, batch_size=1, callbacks=[checkpoints, watch], verbose=0)
    assert saved(tmp_path) == [4, 8]
    again = regression(seed=2)
    Checkpoints(tmp_path).restore(again)
    for start, kept, end, loaded in zip(
        first_weights, saved_weights, second.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(start, kept)
        np.testing.assert_array_equal(end, loaded)


@pytest.mark.slow
def test_another_model_after_a_killed_fit_starts_at_the_saved_step(tmp_path):
    def kill(batch, logs):
        if checkpoints.step == 3:
            raise Killed

    checkpoints = Checkpoints(tmp_path, save_freq=2)
    callbacks = [checkpoints, keras.callbacks.LambdaCallback(on_train_batch_end=kill)]
    with pytest.raises(Killed):
        regression().fit(*rows(4), batch_size=1, callbacks=callbacks, verbose=0)
    second = regression(seed=1)
    second.fit(*rows(4), batch_size=1, callbacks=[checkpoints], verbose=0)
    assert (checkpoints.step, int(second.optimizer.iterations)) == (6, 6)


@pytest.mark.slow
def test_a_new_optimizer_starts_from_the_newest_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    model = regression()
    model.fit(*rows(4), batch_size=1, callbacks=[checkpoints], verbose=0)
    model.fit(*rows(4), batch_size=1, callbacks=[checkpoints], verbose=0)
    assert checkpoints.step == 8
    model.compile("sgd", loss="mse")
    model.fit(*rows(4), batch_size=1, callbacks=[checkpoints], verbose=0)
    assert (checkpoints.step, int(model.optimizer.iterations)) == (12, 12)
    model.compile("adam", loss="mse")
    with pytest.raises(ValueError, match="is not a checkpoint of this model and optimizer"):
        model.fit(*rows(4), batch_size=1, callbacks=[checkpoints], verbose=0)
