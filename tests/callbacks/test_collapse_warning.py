import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.callbacks import CollapseWarning


def make_encoder():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])


def make_model(loss=None, **arguments):
    """A model whose weights stay the same."""
    model = supcon_tf.SupConModel(make_encoder(), keras.layers.Identity())
    model.compile(keras.optimizers.SGD(0.0), loss or supcon_tf.SupConLoss(0.1), **arguments)
    return model


# The callback does not know whether Keras traces the steps. Without tracing, tests are faster.
EAGER = {"run_eagerly": True}


def equal_views(samples=6, views=2):
    return np.ones([samples, views, 3]), np.arange(samples)


def fit(model, *data, epochs=1, callback=None, **arguments):
    callback = callback or CollapseWarning()
    model.fit(*data, epochs=epochs, callbacks=[callback], verbose=0, **arguments)
    return callback


@pytest.mark.slow
@pytest.mark.parametrize("base_temperature", [None, 0.07, 1.0])
def test_warns_at_the_collapse_value(base_temperature):
    loss = supcon_tf.SupConLoss(0.1, base_temperature=base_temperature)
    value = math.log(11) * (1 if base_temperature is None else 0.1 / base_temperature)
    with pytest.warns(UserWarning, match=f"for 3 epochs the loss has stayed at {value:.4g}"):
        fit(make_model(loss, **EAGER), *equal_views(), epochs=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    ["spread", "2 epochs", "patience of 9", "a single view of a single sample"],
)
def test_does_not_warn_otherwise(case):
    views, labels = equal_views(1, 2) if "single" in case else equal_views()
    if case == "spread":
        views = np.random.default_rng(0).normal(size=views.shape)
    callback = CollapseWarning(patience=9 if "patience" in case else 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        epochs = 2 if case == "2 epochs" else 4
        fit(make_model(**EAGER), views, labels, epochs=epochs, callback=callback)


@pytest.mark.slow
@pytest.mark.parametrize(("execution", "views"), [(1, 3), (2, 1)])
def test_contrasts_of_an_unknown_batch_size(views, execution):
    data, labels = equal_views(10, views)
    model = make_model(steps_per_execution=execution)
    assert fit(model, data, labels // 2, batch_size=4).num_contrasts == 4 * views - 1


@pytest.mark.slow
def test_an_execution_of_more_steps_than_the_epoch():
    model = make_model(steps_per_execution=3)
    assert fit(model, *equal_views(8), batch_size=4).num_contrasts == 7


@pytest.mark.slow
def test_contrasts_after_another_fit_and_evaluation(uncompiled):
    model, callback = make_model(), CollapseWarning()
    fit(model, *equal_views(8), callback=callback, validation_data=equal_views(5))
    model.evaluate(*equal_views(3), verbose=0)
    assert fit(model, *equal_views(6), callback=callback, epochs=2).num_contrasts == 11


@pytest.mark.slow
def test_a_resumed_epoch_has_a_count_of_samples_already():
    """`Checkpoints` restores the running means at the beginning of the epoch."""

    def restore(epoch, logs):
        model.metrics[0].update_state(1.0, sample_weight=100)

    model, callback = make_model(**EAGER), CollapseWarning()
    resume = keras.callbacks.LambdaCallback(on_epoch_begin=restore)
    model.fit(*equal_views(6), callbacks=[callback, resume], verbose=0)
    assert callback.num_contrasts == 11


@pytest.mark.slow
def test_contrasts_of_a_keras_model():
    model = make_encoder()
    model.compile(keras.optimizers.SGD(0.0), supcon_tf.SupConLoss(0.1))
    assert fit(model, np.ones([6, 3]), np.arange(6) // 2).num_contrasts == 5


@pytest.mark.slow
def test_contrasts_are_the_keys_of_the_batch_and_of_the_full_queue(uncompiled):
    model = supcon_tf.MomentumSupConModel(
        make_encoder(), keras.layers.Identity(), queue_size=8, momentum=0.0
    )
    model.compile(keras.optimizers.SGD(0.0), supcon_tf.SupConLoss(0.1))
    data = tf.data.Dataset.from_tensor_slices(equal_views(8)).batch(4, drop_remainder=True)
    with pytest.warns(UserWarning, match=f"has stayed at {math.log(12):.4g}"):
        assert fit(model, data, epochs=4).num_contrasts == 12


@pytest.mark.slow
def test_a_teacher_adds_a_second_contrastive_loss(uncompiled):
    teacher = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "softmax")])
    distillation = supcon_tf.Distillation(teacher)
    model = supcon_tf.SupConModel(
        make_encoder(), keras.layers.Identity(), distillation=distillation
    )
    model.compile(keras.optimizers.SGD(0.0), supcon_tf.GeneralizedSupConLoss(0.1))
    views, _ = equal_views(4)
    with pytest.warns(UserWarning, match=f"has stayed at {math.log(7):.4g}"):
        fit(model, views, np.eye(4), epochs=3)


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize(("cross_replica", "contrasts"), [(True, 15), (False, 7)])
def test_contrasts_on_replicas(two_replicas, cross_replica, contrasts):
    with two_replicas.scope():
        model = make_model(supcon_tf.SupConLoss(0.1, cross_replica=cross_replica))
    data = tf.data.Dataset.from_tensor_slices(equal_views(16)).batch(8, drop_remainder=True)
    with pytest.warns(UserWarning, match=f"has stayed at {math.log(contrasts):.4g}"):
        assert fit(model, data, epochs=3).num_contrasts == contrasts


def test_another_fit_resets_the_count_of_epochs():
    """Two epochs of one fit and two epochs of the next fit are not four epochs of one."""
    model, callback = make_model(**EAGER), CollapseWarning()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for _ in range(2):
            fit(model, *equal_views(), epochs=2, callback=callback)
    with pytest.warns(UserWarning, match="for 3 epochs the loss has stayed at"):
        fit(model, *equal_views(), epochs=3, callback=callback)


def test_the_loss_must_be_a_contrastive_loss():
    with pytest.raises(ValueError, match="requires a model that .*Received: loss=<.*TripletLoss"):
        fit(make_model(supcon_tf.TripletLoss()), *equal_views())


def test_bad_patience():
    with pytest.raises(ValueError, match="`patience` must be an integer of at least 1. Received"):
        CollapseWarning(patience=0)
