import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf


def make_model(optimizer="sgd", **compile_options):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((8,)))
    model.compile(optimizer, loss=supcon_tf.SupConLoss(), **compile_options)
    return model


def batches(size=8, drop_remainder=True, samples=24):
    rng = np.random.default_rng(0)
    images = rng.random([samples, 2, 8, 8, 1], dtype="float32")
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(samples) % 3))
    return data.batch(size, drop_remainder=drop_remainder)


def fit_fails(strategy, data, match, **compile_options):
    with strategy.scope():
        model = make_model(**compile_options)
    before = model.get_weights()
    with pytest.raises(ValueError, match=match):
        model.fit(data, verbose=0)
    for actual, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_batch_without_a_static_size_is_refused(two_replicas):
    data = batches(drop_remainder=False)
    fit_fails(two_replicas, data, r"drop_remainder=True.*\(None, 2, 8, 8, 1\).*2 replicas")


def test_a_batch_that_the_replicas_do_not_divide_is_refused(two_replicas):
    fit_fails(two_replicas, batches(size=7), "number of replicas must divide it")


def test_arrays_are_refused(two_replicas):
    with two_replicas.scope():
        model = make_model()
    with pytest.raises(ValueError, match="drop_remainder=True.*numpy.ndarray.*2 replicas"):
        model.fit(np.zeros([8, 2, 8, 8, 1]), np.zeros(8, int))


def test_compiling_the_whole_step_is_refused(two_replicas):
    fit_fails(
        two_replicas, batches(), "Received: jit_compile=True under Mirrored", jit_compile=True
    )


@pytest.mark.versions
@pytest.mark.parametrize("scaled", [False, True])
def test_accumulating_gradients_is_refused_where_keras_cannot(two_replicas, scaled):
    with two_replicas.scope():
        optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    match = "`micro_batch_size`.*Received: gradient_accumulation_steps=2 under MirroredStrategy"
    fit_fails(two_replicas, batches(), match, optimizer=optimizer)


@pytest.mark.slow
@pytest.mark.versions
def test_without_a_strategy_gradients_accumulate():
    """The update is the mean of the gradients of two batches at the same weights."""
    model = make_model(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    start, data = model.get_weights(), batches(samples=16)
    model.fit(data, verbose=0)
    gradients = []
    for images, labels in data:
        each = make_model(keras.optimizers.SGD(1.0), run_eagerly=True)
        each.set_weights(start)
        each.train_on_batch(images, labels)
        gradients.append(start[-1] - each.get_weights()[-1])
    expected = start[-1] - 0.1 * np.mean(gradients, axis=0)
    np.testing.assert_allclose(model.get_weights()[-1], expected, rtol=1e-5, atol=1e-6)


def test_a_strategy_created_after_the_model_is_refused(two_replicas):
    model = make_model()
    match = "created under _DefaultDistributionStrategy, used under MirroredStrategy"
    with two_replicas.scope(), pytest.raises(ValueError, match=match):
        model.fit(batches(), verbose=0)


@pytest.mark.slow
@pytest.mark.versions
def test_distributed_batches_train_alike(two_replicas):
    with two_replicas.scope():
        model = make_model()
    start = model.get_weights()

    def train(data):
        model.set_weights(start)
        model.fit(data, steps_per_epoch=3, verbose=0)
        return model.get_weights()

    distributed = two_replicas.distribute_datasets_from_function(lambda _: batches(size=4))
    for actual, expected in zip(train(distributed), train(batches(size=8)), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


def test_distributed_batches_without_a_static_size_are_refused(two_replicas):
    data = two_replicas.distribute_datasets_from_function(
        lambda _: batches(size=4, drop_remainder=False)
    )
    fit_fails(two_replicas, data, r"distribute_datasets_from_function.*None.*2 replicas")


@pytest.mark.slow
@pytest.mark.versions
def test_an_epoch_can_end_inside_an_execution(two_replicas):
    with two_replicas.scope():
        model = make_model(steps_per_execution=4)
    model.fit(batches(samples=24), epochs=2, verbose=0)
    assert model.optimizer.iterations.numpy() == 2 * 3
    model.fit(batches(samples=18), epochs=2, verbose=0)
    assert model.optimizer.iterations.numpy() == 2 * 3 + 2 * 2


@pytest.mark.slow
def test_evaluation_of_an_incomplete_batch_is_exact(two_replicas):
    rng = np.random.default_rng(0)
    images, labels = rng.random([17, 8, 8, 1], dtype="float32"), np.arange(17) % 3
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)  # at last 1 and 0 rows

    def make():
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
        model = supcon_tf.CrossEntropyModel(encoder, num_classes=3)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(loss=loss, metrics=["accuracy"])
        return model

    expected = make().evaluate(data, verbose=0)
    with two_replicas.scope():
        model = make()
    np.testing.assert_allclose(model.evaluate(data, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(
        model.predict(data.map(lambda x, y: x), verbose=0), make()(images), atol=1e-6
    )


@pytest.mark.slow
def test_a_dataset_trains_without_a_warning(recwarn):
    make_model().fit(batches(), verbose=0)
    assert not [str(warning.message) for warning in recwarn if "shuffle" in str(warning.message)]


@pytest.mark.slow
@pytest.mark.parametrize("first_call", ["fit", "train_on_batch"])
@pytest.mark.parametrize("labels", [np.arange(8) % 3, None])
def test_a_step_on_arrays_is_traced_once(first_call, labels):
    traced = []

    class Counting(supcon_tf.SupConModel):
        def train_step(self, *args):
            traced.append(1)
            return super().train_step(*args)

    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model = Counting(encoder, supcon_tf.projection_head((8,)))
    # Keras builds momentum, and metrics that have a name, in the first step.
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        loss=supcon_tf.SupConLoss(),
        metrics=supcon_tf.metrics.HEALTH,
    )
    images = np.random.default_rng(0).random([8, 2, 8, 8, 1])  # float64, as NumPy makes it
    getattr(model, first_call)(images, labels)
    assert traced == [1]
