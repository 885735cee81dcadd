"""Trainings that diverge because of their learning rate."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict

import supcon_tf
from experiments.lib import transfer_datasets, transfer_protocols
from experiments.lib.training import train as train_run
from supcon_tf._epochs import LocalEpochs, epoch_dataset
from supcon_tf.commands.divergence import TrainingDiverged
from supcon_tf.models.distributed_model import DistributedModel

STEPS, EPOCHS = 6, 2
CONFIG = ConfigDict({"checkpoint_steps": 3, "checkpoints_kept": 2})
CONFIGS = pathlib.Path(__file__).parents[2] / "experiments" / "configs"
RECIPE = """
from experiments.configs import digits_small

def get_config():
    config = digits_small.get_config()
    config.augmentation = config.linear.augmentation
    config.label_smoothing = 0.0
    config.optimizer.schedule.warmup_epochs = 0
    return config
"""
TINY = (
    "--config.train_images=96",
    "--config.batch_size=16",
    "--config.image_size=8",
    "--config.encoder.width=0.25",
    "--config.epochs=2",
    "--config.checkpoint_steps=3",
)


def make_batches():
    rng = np.random.default_rng(0)
    features, targets = (rng.normal(size=[STEPS * EPOCHS, 8, width]) for width in (3, 1))
    targets[-1] *= 1e3  # 1e38 times the gradient is then infinite in the last step.
    steps = tf.data.Dataset.from_tensor_slices((features, targets))
    return epoch_dataset(
        LocalEpochs(STEPS, lambda first, last: steps.skip(first).take(last - first))
    )


class Regression(DistributedModel):
    """Two linear layers. The logged loss does not depend on the weights after a step."""

    def __init__(self):
        super().__init__()
        self.layers_in_order = [keras.layers.Dense(2), keras.layers.Dense(1)]
        self(np.zeros([1, 3]))

    def call(self, x):
        for layer in self.layers_in_order:
            x = layer(x)
        return x

    def _with_nan_loss(self, step):
        return step


def train(directory, rate, execution=1):
    keras.utils.set_random_seed(0)
    model = Regression()
    model.compile(keras.optimizers.SGD(rate), loss="mse", steps_per_execution=execution)
    return train_run(
        model,
        make_batches(),
        num_images=48,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        directory=directory,
        config=CONFIG,
        strategy=tf.distribute.get_strategy(),
    )


def contents(directory):
    return {path.name: path.read_bytes() for path in (directory / "checkpoints").glob("*-*")}


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize(("execution", "step"), [(1, 8), (3, 9)])
def test_the_last_good_checkpoint_remains_before_and_after_a_resume(tmp_path, execution, step):
    """The seventh step follows a good checkpoint; its weights give a non-finite loss in step 8."""
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([5.5], [0.1, 1e38])
    text = rf"the loss is (nan|inf) after step {step}, at a learning rate of 1e\+38; try a smaller"
    with pytest.raises(TrainingDiverged, match=text):
        train(tmp_path, rate, execution)
    good = contents(tmp_path)
    assert {name.split(".")[0] for name in good} == {"checkpoint-3", "checkpoint-6"}
    with pytest.raises(TrainingDiverged, match=text):
        train(tmp_path, rate, execution)
    assert contents(tmp_path) == good


def test_weights_that_are_not_finite_are_not_saved_when_a_checkpoint_is_due(tmp_path):
    """The loss stays finite: the last step is the first one with non-finite weights."""
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([10.5], [0.1, 1e38])
    with pytest.raises(
        TrainingDiverged, match=r"is not finite after step 12, so this step is not saved. .*-9"
    ):
        train(tmp_path, rate)
    assert {name.split(".")[0] for name in contents(tmp_path)} == {"checkpoint-6", "checkpoint-9"}


def test_non_finite_weights_are_no_result_of_a_complete_training(tmp_path, monkeypatch):
    """The checkpoint has non-finite weights, as if it had been saved without the check."""
    with monkeypatch.context() as patch:
        patch.setattr(supcon_tf.callbacks.Checkpoints, "_require_finite_weights", lambda _: None)
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([10.5], [0.1, 1e38])
        with pytest.raises(TrainingDiverged, match="is not finite at the end"):
            train(tmp_path, rate)
    with pytest.raises(ValueError, match="checkpoint-12 must have finite weights. Remove it"):
        train(tmp_path, rate)


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
@pytest.mark.parametrize(
    ("script", "rate", "execution"), [("pretrain", 1e12, 1), ("cross_entropy", 1e6, 3)]
)
def test_a_recipe_writes_no_result(run_script, tmp_path, script, rate, execution):
    """A contrastive loss is nearly independent of the norm of the weights and survives 1e6."""
    recipe = tmp_path / "recipe.py"
    recipe.write_text(RECIPE)
    output_dir = tmp_path / "out"
    with pytest.raises(
        SystemExit, match=r"diverged: .* step \d+.* learning rate of .*; try a smaller"
    ):
        run_script(
            script,
            f"--config={recipe}",
            *TINY,
            f"--config.steps_per_execution={execution}",
            f"--config.optimizer.learning_rate={rate}",
            f"--output_dir={output_dir}",
        )
    names = {path.name for path in output_dir.glob("[!.]*")}
    assert names <= {"config.json", "checkpoints", "tensorboard", "log.csv"}


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoders")
def test_the_quickstart_writes_no_result(run_script, tmp_path):
    with pytest.raises(SystemExit, match=r"the loss is .* after step \d+, at a learning rate of"):
        run_script(
            "quickstart",
            "--change=train_images=64",
            "--change=batch_size=32",
            "--change=epochs=3",
            "--change=optimizer.learning_rate=1e38",
            f"--output_dir={tmp_path}",
        )
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"records.jsonl", "records"}


@pytest.mark.slow
def test_fine_tuning_does_not_choose_settings_that_diverge(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    encoder.save(tmp_path / "encoder.keras")
    digits = supcon_tf.data.load_digits("train").take(np.arange(40))
    images = supcon_tf.data.ArrayImages(
        digits.images, np.arange(40), [str(position) for position in range(40)]
    )
    part = transfer_datasets.Split(images, np.eye(10, dtype=np.float32)[digits.labels])

    def choose(rates):
        return transfer_protocols.fine_tuned_scores(
            tmp_path / "encoder.keras",
            transfer_datasets.DATASETS["birdsnap"],
            part,
            part,
            steps=6,
            learning_rates=rates,
            weight_decays=[0.0],
            batch_size=16,
            short_side=None,
            seed=0,
        )

    scores, chosen = choose([1e38, 0.01])
    assert np.isfinite(scores).all()
    assert chosen["learning_rate"] == 0.01
    with pytest.raises(TrainingDiverged, match="the loss is"):
        choose([1e38])
