"""Gradients of a CPU do not depend on the order in which their terms are computed."""

import keras
import pytest
import tensorflow as tf

from supcon_tf._epochs import LocalEpochs, epoch_dataset
from supcon_tf.callbacks import Checkpoints
from supcon_tf.commands.training import fit
from supcon_tf.models.distributed_model import DistributedModel

TERM = tf.TensorSpec([60 * 2**18])  # 60 MB; three such tensors exceed TensorFlow's limit.
VALUES = (1e8, -1e8, 1.0)


class SumOfThree(DistributedModel):
    """The loss is a sum of three large tensors, of which one is computed later than the others."""

    def __init__(self, late):
        super().__init__()
        self.late = late
        self.weight = self.add_weight(shape=(), name="weight")
        self.built = True

    def train_step(self, data):
        product = tf.ones([1000, 1000])
        for _ in range(6):
            product = tf.tanh(product @ product)
        after_product, at_once = product[0, 0] - 1e10, -1e10
        terms = [
            tf.maximum(
                tf.fill(TERM.shape, value * data[0, 0]),
                after_product if position == self.late else at_once,
            )
            for position, value in enumerate(VALUES)
        ]
        return {"loss": tf.add_n(terms)[0]}


@pytest.mark.parametrize("late", [0, 2])
def test_sum_does_not_depend_on_timing(tmp_path, late):
    model = SumOfThree(late)
    model.compile(keras.optimizers.SGD())
    steps = tf.data.Dataset.from_tensor_slices(tf.ones([4, 1, 1]))
    batches = epoch_dataset(
        LocalEpochs(4, lambda first, last: steps.skip(first).take(last - first))
    )
    options_before = tf.config.optimizer.get_experimental_options()
    losses = []
    fit(
        model,
        batches,
        epochs=1,
        steps_per_epoch=4,
        directory=tmp_path,
        checkpoints=Checkpoints(tmp_path / "checkpoints", save_freq=4),
        chief=True,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda step, logs: losses.append(logs["loss"])
            )
        ],
    )
    assert losses == [1.0] * 4  # (1e8 - 1e8) + 1, while 1e8 + (1 - 1e8) is 0 in float32.
    assert tf.config.optimizer.get_experimental_options() == options_before
