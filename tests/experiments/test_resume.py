import os
import signal

import keras
import numpy as np
import pytest

from experiments.lib import datasets
from supcon_tf.commands.divergence import StopOnDivergence

RECIPE = """
from experiments.configs import digits_small

def get_config():
    config = digits_small.get_config()
    config.augmentation = config.linear.augmentation  # traced in a fraction of the time
    config.update(epochs=2, train_images=128, batch_size=32, image_size=8, checkpoint_steps=3)
    config.encoder.width = 0.125
    return config
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
def test_a_recipe_that_is_stopped_ends_like_an_uninterrupted_one(run_script, monkeypatch, tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(RECIPE)

    def pretrain(name):
        run_script("pretrain", f"--config={recipe}", f"--output_dir={tmp_path / name}")

    pretrain("uninterrupted")
    check = StopOnDivergence.on_train_batch_end
    steps = iter(range(1, 100))

    def check_and_stop(self, batch, logs=None):
        check(self, batch, logs)
        if next(steps) == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(StopOnDivergence, "on_train_batch_end", check_and_stop)
    with pytest.raises(SystemExit):
        pretrain("stopped")
    assert not (tmp_path / "stopped" / "encoder.keras").exists()
    with monkeypatch.context() as patch:
        load = datasets.load_train_and_test

        def load_others(*args):
            train, test = load(*args)
            return train.take(np.arange(len(train))[::-1]), test

        patch.setattr(datasets, "load_train_and_test", load_others)
        with pytest.raises((SystemExit, ValueError), match="data"):
            pretrain("stopped")
    pretrain("stopped")
    encoders = [
        keras.saving.load_model(tmp_path / name / "encoder.keras")
        for name in ("uninterrupted", "stopped")
    ]
    np.testing.assert_equal(encoders[1].get_weights(), encoders[0].get_weights())
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("uninterrupted", "stopped")]
    assert logs[1] == logs[0]
