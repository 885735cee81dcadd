"""`fit` on batches of `supcon_tf.data`: every epoch has its own views."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import data
from supcon_tf.augmentation import Mixing, crop_flip
from supcon_tf.callbacks import Checkpoints
from supcon_tf.models.distributed_model import DistributedModel

IMAGES = data.load_digits("train").take(np.arange(48))
STEPS = 3


def make_views(seed=0):
    return data.multi_view_batches(IMAGES, crop_flip(8, flip=False), batch_size=16, seed=seed)


def mixed_images():
    mixed = data.mix_batches(make_views(), Mixing("mixup"), num_classes=10)
    return data.map_batches(data.flatten_views(mixed), lambda x, y: (x, 2.0 * y))


class Recorder(DistributedModel):
    """Records the images of every training step and every evaluation step."""

    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(1)
        self.seen, self.validated = [], []

    def call(self, x, training=False):
        def record(x):
            (self.seen if training else self.validated).append(x.copy())
            return x

        shape = x.shape
        x = tf.ensure_shape(tf.numpy_function(record, [x], x.dtype), shape)
        return self.layer(keras.ops.reshape(x, (shape[0], -1)))


def recorder(steps_per_execution=1):
    model = Recorder()
    model.compile(
        "sgd",
        loss=lambda y, x: keras.ops.mean(x),
        jit_compile=False,
        run_eagerly=steps_per_execution == 1,  # Tracing would take most of the time.
        steps_per_execution=steps_per_execution,
    )
    return model


def images_of(batches):
    return [x.numpy() for x, _ in batches]


@pytest.fixture(scope="module")
def expected():
    """The images of the first four epochs, in the order of the steps."""
    return images_of(data.batches_from_step(make_views(), 0).take(4 * STEPS))


def assert_seen(model, expected):
    np.testing.assert_array_equal(model.seen, expected)
    model.seen.clear()


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_views, mixed_images])
@pytest.mark.parametrize("execution", [1, 2])
def test_every_epoch_has_new_views_in_a_new_order(make, execution):
    model, passes = recorder(steps_per_execution=execution), make()
    history = model.fit(passes, epochs=3, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert len(history.history["loss"]) == 3
    expected = images_of(data.batches_from_step(passes, 0).take(3 * STEPS))
    assert_seen(model, expected)
    passes = make()
    np.testing.assert_array_equal([*images_of(passes), *images_of(passes)], expected[: 2 * STEPS])
    assert len({batch.tobytes() for batch in expected}) == 3 * STEPS


def test_the_initial_epoch_has_its_own_views(expected):
    model, views = recorder(), make_views()
    model.fit(views, initial_epoch=2, epochs=3, verbose=0)
    assert_seen(model, expected[2 * STEPS : 3 * STEPS])


def test_a_second_fit_continues(expected):
    model, views = recorder(), make_views()
    for _ in range(2):
        model.fit(views, verbose=0)
    model.fit(views, steps_per_epoch=4, verbose=0)
    assert_seen(model, expected[: 2 * STEPS + 4])
    other = recorder()
    other.fit(views, verbose=0)
    assert_seen(other, expected[:STEPS])


def test_validation_always_has_the_same_views():
    model, views = recorder(), make_views(seed=1)
    model.fit(make_views(), validation_data=views, epochs=3, verbose=0)
    model.evaluate(views, verbose=0)
    expected = images_of(data.batches_from_step(views, 0).take(STEPS))
    np.testing.assert_array_equal(model.validated, 4 * expected)


def test_callbacks_run_once_an_epoch():
    model = recorder()
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=2, verbose=0)
    model.fit(make_views(), epochs=9, callbacks=[stop], verbose=0)
    assert stop.stopped_epoch == 2
    model.fit(make_views(), epochs=1, verbose=0)
    assert len(model.seen) == 4 * STEPS


@pytest.mark.slow
def test_other_keras_models_see_new_views_in_every_epoch():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.0), loss=lambda y, x: keras.ops.mean(x))
    images = data.map_batches(data.flatten_views(make_views()), lambda x, y: (x, y))
    losses = model.fit(images, epochs=4, shuffle=False, verbose=0).history["loss"]
    assert len(set(losses)) == 4


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("save_freq", "step"), [(STEPS, STEPS), (1, STEPS + 1)])
def test_fit_resumes_at_the_step_of_the_newest_checkpoint(tmp_path, save_freq, step, expected):
    views = make_views()

    def kill(batch, logs):
        if len(model.seen) == STEPS + 1:
            raise Killed

    killer = keras.callbacks.LambdaCallback(on_train_batch_end=kill)
    model = recorder()
    with pytest.raises(Killed):
        model.fit(
            views,
            epochs=3,
            callbacks=[Checkpoints(tmp_path, save_freq=save_freq), killer],
            verbose=0,
        )
    model = recorder()
    checkpoints = Checkpoints(tmp_path)
    history = model.fit(make_views(), epochs=3, callbacks=checkpoints, verbose=0)
    assert history.epoch == [1, 2]
    assert len(history.history["loss"]) == 2
    assert model.history is history
    assert_seen(model, expected[step : 3 * STEPS])
    # The training is complete.
    assert model.fit(views, epochs=3, callbacks=checkpoints, verbose=0).epoch == []
    with pytest.raises(
        ValueError, match="`initial_epoch` must be omitted with Checkpoints.*=1, re"
    ):
        model.fit(views, initial_epoch=1, epochs=9, callbacks=[checkpoints], verbose=0)


def test_a_callback_ends_an_epoch_that_resumes(tmp_path):
    model = recorder()
    model.fit(make_views(), epochs=2, steps_per_epoch=2, callbacks=Checkpoints(tmp_path), verbose=0)
    model = recorder()

    def end(epoch, logs):
        model.stop_training = True

    stop = keras.callbacks.LambdaCallback(on_epoch_end=end)
    history = model.fit(make_views(), epochs=4, callbacks=[stop, Checkpoints(tmp_path)], verbose=0)
    assert history.epoch == [1]


@pytest.mark.slow
def test_under_a_strategy(two_replicas):
    views, others = make_views(), make_views(seed=1)

    def train(model):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss=loss, jit_compile=False)
        return model.fit(views, validation_data=others, epochs=3, verbose=0)

    def make():
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((2, 8, 8, 1)), keras.layers.Flatten()])
        return supcon_tf.CrossEntropyModel(encoder, 10)  # traced in less time than a pair loss

    with two_replicas.scope():
        replicated = train(make())
    expected = train(make())
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(
            replicated.history[name], expected.history[name], rtol=1e-5, err_msg=name
        )


def test_batches_from_step_needs_epochs():
    with pytest.raises(ValueError, match="`dataset` must hold batches of .*multi_view_batches"):
        data.batches_from_step(make_views().map(lambda x, y: (x, y)), 0)
    with pytest.raises(ValueError, match="`step` must be an integer of at least 0. Received: -1"):
        data.batches_from_step(make_views(), -1)
