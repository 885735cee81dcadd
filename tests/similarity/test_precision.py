"""GPUs and TPUs round the factors of float32 products unless the program demands otherwise."""

import re

import pytest
import tensorflow as tf

from supcon_tf import losses

ROWS, DIM, CLASSES = 12, 4, 3


def products(function, *arguments):
    """Returns the float32 matrix products in the program that XLA receives on every device."""
    compiled = tf.function(function, jit_compile=True, autograph=False)
    program = compiled.experimental_get_compiler_ir(*arguments)(stage="hlo")
    found = re.findall(r"= f32\[.* (?:dot|convolution)\(.*", program)
    assert found
    return found


def differentiate(loss):
    def loss_and_gradient(embeddings, labels):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            value = loss(labels, embeddings)
        return value, tape.gradient(value, embeddings)

    return loss_and_gradient


@pytest.mark.slow
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
    for product in products(differentiate(loss), embeddings, labels):
        assert "operand_precision={highest,highest}" in product, product
