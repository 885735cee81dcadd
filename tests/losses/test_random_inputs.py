"""Compares the losses of random edge cases with the definitions in float64.

Batches have 0 to 3 samples. Temperatures range from 0.001 to 10. Rows are zero, equal, opposite,
huge or tiny. Labels are all the same, all different or missing.
"""

import functools
import importlib.util
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import supcon_tf

_PATH = pathlib.Path(__file__).parents[1] / "similarity" / "naive.py"
_SPEC = importlib.util.spec_from_file_location("naive", _PATH)
naive = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(naive)

pytestmark = pytest.mark.filterwarnings("ignore:No anchor of the batch has a positive")

DIM, CLASSES = 3, 3
TEMPERATURES = [0.001, 0.01, 0.1, 1.0, 10.0]


def draw_embeddings(rng, batch, views):
    """Draws embeddings of one kind, or of a random kind per row."""
    kinds = ["random", "zero", "equal", "opposite", "huge", "tiny"]
    x = rng.normal(size=[batch, views, DIM])
    base = rng.normal(size=DIM)
    of_all = rng.choice(["mixed", *kinds])
    for row in np.ndindex(batch, views):
        kind = rng.choice(kinds) if of_all == "mixed" else of_all
        x[row] = {
            "random": x[row],
            "zero": 0 * x[row],
            "equal": base,
            "opposite": base * rng.choice([-1, 1]),
            "huge": 1e18 * x[row],
            "tiny": 10.0 ** rng.uniform(-12, -4) * x[row],
        }[kind]
    return x.astype("float32").astype("float64")  # the same values in both precisions


def draw_ids(rng, batch):
    kind = rng.choice(["random", "one", "none", "all"])
    return {
        "random": rng.integers(-1, CLASSES, batch),
        "one": np.zeros(batch, int),
        "none": np.full(batch, -1),
        "all": np.arange(batch),
    }[kind]


def normalized(x):
    """Returns rows of unit length, and the Jacobian of each row."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    z = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    tangent = np.eye(DIM) - z[:, :, None] * z[:, None, :]
    share = np.where(length > 0, 1 / np.maximum(length, 1e-6), 0)
    return z, tangent * share[:, :, None]


def expected(loss, x, labels, samples, upstream):
    """Returns the losses of rows, and the gradient of their sum weighted by `upstream`."""
    z, back = normalized(x)
    tau = loss.temperature
    if isinstance(loss, supcon_tf.SupConLoss):
        losses, slopes, c = naive.supcon(
            z, labels, samples, tau, summation=loss.summation, denominator=loss.denominator
        )
    else:
        weights = naive.label_weights(labels, samples)
        if len(z):
            losses, slopes, c = naive.generalized(z, weights, tau, weighting=loss.weighting)
        else:
            losses, slopes, c = np.zeros(0), np.zeros([0, 0]), z
    dz = naive.gradients(np.nan_to_num(slopes), upstream, z, c, tau, square=True)
    return np.nan_to_num(losses), np.einsum("nij,nj->ni", back, dz)


def value_and_gradient(loss, labels, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        per_sample = loss(labels, x)
        total = tf.reduce_sum(per_sample * upstream)
    return per_sample, tape.gradient(total, x)


PRECISIONS = {"float64": 1e-12, "float32": 3e-7}


def check(make_loss, seed, batch, views, graph=False, dtypes=tuple(PRECISIONS)):
    rng = np.random.default_rng([seed, batch, views])
    temperature = float(rng.choice(TEMPERATURES))
    x, ids = draw_embeddings(rng, batch, views), draw_ids(rng, batch)
    upstream = rng.normal(size=batch)
    samples = np.repeat(np.arange(batch), views)
    reference = make_loss(temperature, reduction=None)
    if isinstance(reference, supcon_tf.SupConLoss):
        labels, row_labels = ids, np.repeat(ids, views)
    else:
        labels = np.eye(CLASSES)[ids] * (ids >= 0)[:, None]
        if rng.random() < 0.5:
            labels = labels * rng.random([batch, 1]) + rng.random([batch, CLASSES])
        row_labels = np.repeat(labels, views, axis=0)
    flat = x.reshape(batch * views, DIM)
    losses, dx = expected(reference, flat, row_labels, samples, np.repeat(upstream / views, views))
    losses = losses.reshape(batch, views).mean(1)
    # A gradient of 1 with respect to a similarity has this size with respect to a row.
    scale = 1 / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6) / temperature
    for dtype in dtypes:
        precision = PRECISIONS[dtype]
        loss = make_loss(temperature, reduction=None, dtype=dtype)
        function = functools.partial(value_and_gradient, loss)
        if graph:
            function = tf.function(function, autograph=False)
        actual, gradient = function(
            tf.constant(labels), tf.constant(x, dtype), tf.constant(upstream, dtype)
        )
        tolerance = precision * (1 + 1 / temperature)
        np.testing.assert_allclose(actual, losses, rtol=10 * precision, atol=10 * tolerance)
        error = (gradient.numpy().reshape(dx.shape) - dx) / scale
        np.testing.assert_allclose(error, np.zeros_like(dx), atol=20 * tolerance)


LOSSES = {
    f"{summation} {denominator}": functools.partial(
        supcon_tf.SupConLoss, summation=summation, denominator=denominator
    )
    for summation in ("outside", "inside")
    for denominator in ("all", "one_positive", "only_negatives")
} | {
    weighting: functools.partial(supcon_tf.GeneralizedSupConLoss, weighting=weighting)
    for weighting in ("similarity_sum", "contrast_count")
}
SHAPES = [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_equals_the_definition(name, uncompiled):
    for shape in SHAPES:
        for seed in range(2):
            check(LOSSES[name], seed, *shape)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize("name", ["outside all", "contrast_count"])
def test_equals_the_definition_in_a_graph(name):
    # Every dtype and every shape is compiled.
    check(LOSSES[name], 7, 2, 2, graph=True)
    if name == "outside all":
        for batch in (0, 1):
            check(LOSSES[name], 7, batch, 1, graph=True, dtypes=["float32"])
