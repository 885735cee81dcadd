import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import remaining_time, training

STEPS, EPOCHS = 4, 3
CONFIG = ConfigDict({"checkpoint_steps": 1000, "checkpoints_kept": 2})  # No checkpoint is ever due.


def batches(start):
    rng = np.random.default_rng(0)
    images = rng.random([STEPS * EPOCHS, 8, 2, 2, 3, 1], np.float32)
    labels = rng.integers(0, 3, [STEPS * EPOCHS, 8])
    return tf.data.Dataset.from_tensor_slices((images, labels)).skip(start)


def train(directory, presses=()):
    """Trains like the scripts, with Ctrl-C during the steps in `presses`."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dropout(0.2)]
    encoder = keras.Sequential([keras.Input((2, 3, 1)), *layers])
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((4,)))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=supcon_tf.SupConLoss())
    model.build_from(batches(0))
    steps = iter(range(1, 100))

    def press(batch, logs):
        for _ in range(presses.count(next(steps))):
            os.kill(os.getpid(), signal.SIGINT)

    training.fit(
        model,
        batches,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        directory=directory,
        config=CONFIG,
        chief=True,
        callbacks=(keras.callbacks.LambdaCallback(on_train_batch_end=press),),
    )
    return model.get_weights(), (directory / "log.csv").read_text()


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 2])
def test_an_interrupted_training_resumes(step, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit, match=rf"stopped at step {step}; .*{tmp_path}/stopped/checkp"):
        train(tmp_path / "stopped", presses=[step])
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / f"stopped/checkpoints/checkpoint-{step}.index").exists()
    weights, log = train(tmp_path / "stopped")
    expected_weights, expected_log = train(tmp_path / "uninterrupted")
    for weight, expected in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert log == expected_log


def test_a_second_press_does_not_wait_for_a_checkpoint(tmp_path):
    with pytest.raises(SystemExit, match=r"^stopped; the same command"):
        train(tmp_path, presses=[2, 2])
    assert not list(tmp_path.glob("checkpoints/*.index"))


def test_remaining_time(tmp_path, capsys, monkeypatch):
    clock = iter([100.0, 110.0, 120.0, 130.0])
    monkeypatch.setattr(remaining_time.time, "monotonic", lambda: next(clock))
    callback = remaining_time.RemainingTime(steps=60, first_step=20)
    for steps in (10, 20, 10):
        callback.set_params({"steps": steps})
        callback.on_epoch_end(0)
    # 10 s for 10 of 40 steps, then 20 s for 30 steps.
    assert capsys.readouterr().out.splitlines() == ["about 0:00:30 left", "about 0:00:07 left"]
