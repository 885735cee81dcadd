"""Gradients of losses in a traced function, by a tape outside of it.

TensorFlow then computes the gradient by all inputs of the function, also by labels.
"""

import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

RNG = np.random.default_rng(0)
Z = RNG.normal(size=[6, 2, 4]).astype("float32")
IDS = np.arange(6) % 3
WEIGHTS = RNG.random([6, 6]).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (supcon_tf.SupConLoss(0.2, denominator="class_average"), IDS),
        (supcon_tf.GeneralizedSupConLoss(0.2), WEIGHTS[:, :3]),
        (supcon_tf.PairwiseSupConLoss(0.2), WEIGHTS),
    ],
    ids=["class_average", "generalized", "pairwise"],
)
def test_the_gradient_is_that_of_a_tape_inside(loss, labels):
    labels, z = tf.constant(labels), tf.constant(Z)
    # The rows are not known when it is traced, so loops over blocks remain loops.
    unknown = [tf.TensorSpec([None, *labels.shape[1:]], labels.dtype), tf.TensorSpec([None, 2, 4])]
    if isinstance(loss, supcon_tf.PairwiseSupConLoss):
        unknown[0] = tf.TensorSpec([None, None])

    @tf.function(input_signature=unknown)
    def value(labels, z):
        return loss(labels, z)

    @tf.function
    def gradient_inside(labels, z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            result = loss(labels, z)
        return tape.gradient(result, z)

    expected = gradient_inside(labels, z)
    for function in (loss, value):
        with tf.GradientTape() as tape:
            tape.watch([labels, z] if labels.dtype.is_floating else z)
            result = function(labels, z)
        np.testing.assert_allclose(tape.gradient(result, z), expected, atol=1e-6)
