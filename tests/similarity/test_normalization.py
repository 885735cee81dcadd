import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.encoders.l2_normalization import L2Normalization
from supcon_tf.similarity.normalization import l2_normalize

LENGTHS = np.array([1, 1e-3, 1e-5, 1e-9, 1e-30, 1e30, 0])


def value_and_gradient(function, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value, tape.gradient(value, x, upstream)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", [l2_normalize, L2Normalization(dtype="float64")])
def test_equals_the_definition(function, compiled, dtype):
    if isinstance(function, L2Normalization):
        function = L2Normalization(dtype=dtype)
    rng = np.random.default_rng(0)
    unit = rng.normal(size=[len(LENGTHS), 5])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    x = tf.constant(unit * LENGTHS[:, None], dtype)
    unit[LENGTHS == 0] = 0
    upstream = rng.normal(size=unit.shape)
    tangent = upstream - unit * np.sum(unit * upstream, axis=1, keepdims=True)
    expected = tangent / np.maximum(LENGTHS, 1e-6)[:, None]
    expected[LENGTHS == 0] = 0
    compute = tf.function(functools.partial(value_and_gradient, function), jit_compile=compiled)
    value, gradient = compute(x, tf.constant(upstream, dtype))
    precision = {"float32": 1e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(value, unit, atol=precision)
    np.testing.assert_allclose(
        gradient * np.maximum(LENGTHS, 1e-6)[:, None],
        expected * np.maximum(LENGTHS, 1e-6)[:, None],
        atol=10 * precision,
    )


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_rows_that_are_not_finite_stay_so(compiled):
    x = tf.constant([[1.0, np.nan, 0.0], [1.0, np.inf, 0.0], [0.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
    value = tf.function(l2_normalize, jit_compile=compiled)(x)
    finite = np.isfinite(value).all(axis=1)
    np.testing.assert_array_equal(finite, [False, False, False, True])


@pytest.mark.slow
def test_blank_images_do_not_destroy_a_model():
    """The representation, the projection and the loss all use `l2_normalize`."""
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(16), L2Normalization()])
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((8,)))
    model.compile(keras.optimizers.SGD(0.1), loss=supcon_tf.SupConLoss(0.1))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 128)
    x = (rng.normal(size=(128, 20)) + 2 * np.eye(20)[labels]).astype("float32")
    x[0] = 0
    losses = model.fit(x, labels, batch_size=64, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert max(np.abs(weight).max() for weight in model.get_weights()) < 3
