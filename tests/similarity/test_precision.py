"""GPUs and TPUs round the factors of float32 products unless the program demands otherwise."""

import re

import numpy as np
import pytest
import tensorflow as tf

from experiments.lib.loss_forms import value_and_gradient
from supcon_tf import losses
from supcon_tf.evaluation.nearest import nearest_neighbors
from supcon_tf.similarity.dense import supcon_dense
from supcon_tf.similarity.dot import dot

ROWS, DIM, CLASSES = 12, 4, 3


def products(function, *arguments):
    """Returns the float32 matrix products in the program that XLA receives on every device."""
    compiled = tf.function(function, jit_compile=True, autograph=False)
    program = compiled.experimental_get_compiler_ir(*arguments)(stage="hlo")
    found = re.findall(r"= f32\[.* (?:dot|convolution)\(.*", program)
    assert found
    return found


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    "loss",
    [
        losses.SupConLoss(),
        losses.SupConLoss(summation="inside", denominator="only_negatives"),
        losses.SupConLoss(denominator="one_positive", positives_cap=2),
        losses.SupConLoss(block_size=4),
        losses.GeneralizedSupConLoss(),
        losses.GeneralizedSupConLoss(weighting="contrast_count"),
        losses.NPairsLoss(),
        losses.TripletLoss(),
        losses.MaxMarginLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_products_of_losses_are_not_rounded(loss):
    embeddings = tf.random.normal([ROWS, 2, DIM], seed=0)
    labels = tf.range(ROWS) % CLASSES
    if isinstance(loss, losses.GeneralizedSupConLoss):
        labels = tf.one_hot(labels, CLASSES)
    if not isinstance(loss, (losses.SupConLoss, losses.GeneralizedSupConLoss)):
        embeddings = embeddings[:, 0]
    for product in products(value_and_gradient(loss), embeddings, labels):
        assert "operand_precision={highest,highest}" in product, product


@pytest.mark.gpu
def test_products_of_the_dense_reference_are_not_rounded():
    loss = lambda ids, z: supcon_dense(z, ids, tf.range(ROWS), 0.1)  # noqa: E731
    embeddings, ids = tf.random.normal([ROWS, DIM], seed=0), tf.range(ROWS) % CLASSES
    found = products(value_and_gradient(loss), embeddings, ids)
    assert len(found) >= 2
    for product in found:
        assert "operand_precision={highest,highest}" in product, product


@pytest.mark.gpu
@pytest.mark.parametrize("product_dtype", [None, "bfloat16"])
def test_without_compilation_only_the_result_is_rounded(uncompiled, product_dtype):
    z = tf.random.normal([ROWS, 64], seed=0)
    factors = z if product_dtype is None else tf.cast(z, product_dtype)
    exact = np.float64(factors) @ np.float64(factors).T
    result = dot(z, z, (1, 1), product_dtype).numpy()
    assert result.dtype == "float32"
    half_of_last_place = np.spacing(np.abs(result)) / 2
    assert np.all(np.abs(result - exact) <= 1.001 * half_of_last_place)


def test_nearest_neighbors_have_no_products_that_devices_round(monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("tf.matmul leaves the precision to the device")

    rows = np.eye(4, 3, dtype="float32") + 1
    monkeypatch.setattr(tf, "matmul", fail)
    ((similarities, neighbors),) = nearest_neighbors(rows, rows, 1)
    np.testing.assert_allclose(similarities[:, 0], 1, rtol=1e-6)
    assert neighbors[:, 0].tolist() == [0, 1, 2, 3]
