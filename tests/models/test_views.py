import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import supcon_tf
from supcon_tf import JointSupConModel, MomentumSupConModel, SupConLoss, SupConModel

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=[8, 2, 6]).astype("float32")
TOKENS = RNG.integers(0, 9, size=[8, 2, 5])
IDS = np.arange(8) % 4
STRUCTURES = {
    "dict": {"rows": ROWS, "tokens": TOKENS},
    "list": [ROWS, TOKENS],
    "dict by names": {"rows": ROWS, "tokens": TOKENS, "unused": np.zeros([8])},
}


def head():
    return supcon_tf.projection_head((4,))


def encoder(structure="dict"):
    """Takes rows and tokens; linear in the rows, so that NumPy can do the same."""
    rows = keras.Input([6], name="rows")
    tokens = keras.Input([5], dtype="int32", name="tokens")
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(9, 4)(tokens))
    inputs = {"rows": rows, "tokens": tokens} if structure == "dict" else [rows, tokens]
    return keras.Model(inputs, layers.Concatenate()([layers.Dense(3)(rows), embedded]))


def one_view(structure, view=0):
    return tf.nest.map_structure(lambda x: x[:, view] if x.ndim > 1 else x, structure)


MODELS = {
    "supcon": lambda encoder: SupConModel(encoder, head()),
    "micro-batches": lambda encoder: SupConModel(encoder, head(), micro_batch_size=4),
    "joint": lambda encoder: JointSupConModel(encoder, 4, head()),
    "momentum": lambda encoder: MomentumSupConModel(
        encoder, head(), queue_size=8, micro_batch_size=4
    ),
}
CLASSIFIERS = {
    "cross-entropy": lambda encoder: supcon_tf.CrossEntropyModel(encoder, 4),
    "linear": lambda encoder: supcon_tf.LinearClassifier(encoder, 4, batch_statistics=True),
    "averaged": lambda encoder: supcon_tf.AveragedCrossEntropyModel(encoder, 4),
}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.filterwarnings("error:The structure of `inputs`")
def test_several_inputs_are_projected_view_by_view(structure, uncompiled):
    views = STRUCTURES[structure]
    model = SupConModel(encoder(structure), head())
    kernel, bias, table = (weight.numpy() for weight in model.encoder.weights)
    if table.ndim == 1:
        table, kernel, bias = kernel, bias, table
    expected = np.concatenate([ROWS @ kernel + bias, table[TOKENS].mean(axis=2)], axis=-1)
    np.testing.assert_allclose(model.encode(views), expected, atol=1e-6)
    projected = expected @ model.projection_head.get_weights()[0]
    projected /= np.linalg.norm(projected, axis=-1, keepdims=True)
    np.testing.assert_allclose(model(views), projected, atol=1e-6)
    np.testing.assert_allclose(model(one_view(views)), projected[:, 0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*MODELS, *CLASSIFIERS])
def test_every_model_trains_on_several_inputs(name, uncompiled):
    classifies = name in CLASSIFIERS
    model = (CLASSIFIERS if classifies else MODELS)[name](encoder())
    x = one_view(STRUCTURES["dict"]) if classifies else STRUCTURES["dict"]
    loss = keras.losses.SparseCategoricalCrossentropy(True) if classifies else SupConLoss()
    outputs = [model.predict(x, verbose=0)]
    for kind in ("arrays", "dataset"):
        model.compile(keras.optimizers.SGD(0.1), loss=loss)
        if kind == "arrays":
            history = model.fit(x, IDS, validation_data=(x, IDS), verbose=0).history
            assert np.isfinite(history["loss"] + history["val_loss"]).all()
        else:
            model.fit(tf.data.Dataset.from_tensor_slices((x, IDS)).batch(8, True), verbose=0)
        outputs.append(np.asarray(model(x)))
        assert np.abs(outputs[-1] - outputs[-2]).max() > 1e-5


@pytest.mark.slow
def test_micro_batches_of_several_inputs_on_replicas_end_as_one_batch(two_replicas):
    weights = []
    for size in (None, 2):
        keras.utils.set_random_seed(0)
        with two_replicas.scope() if size else contextlib.nullcontext():
            model = MomentumSupConModel(encoder(), head(), queue_size=8, micro_batch_size=size)
            model.compile(keras.optimizers.SGD(0.1), loss=SupConLoss(), run_eagerly=size is None)
        data = tf.data.Dataset.from_tensor_slices((STRUCTURES["dict"], IDS)).batch(8, True)
        model.fit(data, verbose=0)
        weights.append(model.get_weights())
    # One step: rounding has not grown.
    for actual, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([ROWS], "the structure of the encoder's inputs"),
        ({"rows": ROWS}, "the structure of the encoder's inputs"),
        ({"rows": ROWS, "tokens": TOKENS[:, 0]}, "all of its inputs alike"),
        ({"rows": ROWS, "tokens": TOKENS[:, :1]}, "the same for all inputs"),
    ],
)
def test_views_that_do_not_fit_the_inputs(views, message):
    with pytest.raises(ValueError, match=message):
        SupConModel(encoder(), head())(views)


def test_several_inputs_are_not_mixed():
    layer = supcon_tf.MixingLayer("mixup", 4)
    with pytest.raises(ValueError, match="must be one array"):
        layer(STRUCTURES["list"], IDS, training=True)


def test_the_augmenter_creates_views_of_several_inputs(uncompiled):
    class Shift(layers.Layer):
        def call(self, inputs):
            return {**inputs, "rows": inputs["rows"] + 1}

    model = SupConModel(encoder(), head(), augmenter=Shift(), num_views=3)
    views = model._make_views(one_view(STRUCTURES["dict"]))
    np.testing.assert_allclose(views["rows"][:, 2], ROWS[:, 0] + 1)
    np.testing.assert_array_equal(views["tokens"][:, 1], TOKENS[:, 0])
    model.compile("sgd", loss=SupConLoss(), metrics=supcon_tf.metrics.HEALTH)
    data = tf.data.Dataset.from_tensor_slices((one_view(STRUCTURES["dict"]), IDS)).batch(8)
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["supcon", "joint", "momentum"])  # the last in micro-batches
def test_views_of_unknown_size(name):
    inputs = keras.Input([None, 6])
    pooled = keras.Model(inputs, layers.GlobalAveragePooling1D()(layers.Dense(4)(inputs)))
    model = MODELS[name](pooled)
    model.compile("sgd", loss=SupConLoss())
    views = RNG.normal(size=[8, 2, 3, 6]).astype("float32")
    expected = model(views[:, 1])
    np.testing.assert_allclose(model(views)[:, 1], expected, atol=1e-6)
    # Two lengths, and one step function for both.
    spec = tf.TensorSpec([8, 2, None, 6]), tf.TensorSpec([8], tf.int64)
    data = tf.data.Dataset.from_generator(
        lambda: iter([(views, IDS), (views[:, :, :2], IDS)]), output_signature=spec
    )
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()


@pytest.mark.slow
def test_images_and_views_in_any_order():
    model = SupConModel(
        keras.Sequential([keras.Input([6]), layers.Dense(4)]),
        head(),
        augmenter=layers.GaussianNoise(0.1),
    )
    model.compile("sgd", loss=SupConLoss())
    for x in (ROWS[:, 0], ROWS, ROWS[:, 0]):
        np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-5)
        np.testing.assert_allclose(model.predict_on_batch(x), model(x), atol=1e-5)
        assert np.isfinite([model.train_on_batch(x, IDS), model.evaluate(x, IDS, verbose=0)]).all()


@pytest.mark.parametrize("how", ["add_loss", "regularizer"])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_micro_batches_refuse_losses_of_activations(how, run_eagerly):
    class Penalized(layers.Layer):
        def call(self, x):
            self.add_loss(tf.reduce_mean(x**2))
            return x

    penalized = Penalized() if how == "add_loss" else layers.ActivityRegularization(l2=0.1)
    dense = layers.Dense(4, kernel_regularizer="l2")
    model = SupConModel(
        keras.Sequential([keras.Input([6]), dense, penalized]), head(), micro_batch_size=4
    )
    model.compile("sgd", loss=SupConLoss(), run_eagerly=run_eagerly)
    data = tf.data.Dataset.from_tensor_slices((ROWS, IDS)).batch(8, drop_remainder=True)
    with pytest.raises(ValueError, match="`micro_batch_size` must be None"):
        model.fit(data, verbose=0)
