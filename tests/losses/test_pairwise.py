"""Given weights of pairs of samples, compared with a loop in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.similarity import pair_weights

BATCH, VIEWS, DIM = 9, 3, 5
RNG = np.random.default_rng(0)
Z = RNG.normal(size=[BATCH, VIEWS, DIM])
IDS = RNG.integers(0, 3, BATCH)
WEIGHTS = RNG.random([BATCH, BATCH]) * (RNG.random([BATCH, BATCH]) < 0.4) + np.diag(
    RNG.random(BATCH)
)
WEIGHTS[3] = 0  # no positive


def naive(weights, z, weighting="similarity_sum", temperature=0.2):
    views = z.shape[1]
    rows = z.reshape(-1, z.shape[2])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    losses = []
    for i, anchor in enumerate(rows):
        others = np.arange(len(rows)) != i
        logits = rows[others] @ anchor / temperature
        w = np.repeat(weights[i // views], views)[others]
        count = w.sum() if weighting == "similarity_sum" else len(logits)
        log_probabilities = logits - np.log(np.exp(logits).sum())
        losses.append(-(w @ log_probabilities) / count if w.any() else 0.0)
    return np.mean(losses)


@pytest.fixture(params=["one block", "blocks"])
def blocks(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(pair_weights, "_BLOCK_SIZE", 4)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("weighting", ["similarity_sum", "contrast_count"])
def test_loss_and_gradient_equal_a_loop(weighting):
    loss = supcon_tf.PairwiseSupConLoss(0.2, weighting=weighting, dtype="float64")
    z = tf.constant(Z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(WEIGHTS, z)
    assert float(value) == pytest.approx(naive(WEIGHTS, Z, weighting), rel=1e-12)
    numeric = np.zeros_like(Z)
    for index in np.ndindex(Z.shape):
        step = np.zeros_like(Z)
        step[index] = 1e-5
        difference = naive(WEIGHTS, Z + step, weighting) - naive(WEIGHTS, Z - step, weighting)
        numeric[index] = difference / 2e-5
    np.testing.assert_allclose(tape.gradient(value, z), numeric, atol=1e-9)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_masks_give_supcon_and_similarities_generalized_supcon(jit_compile):
    distributions = np.random.default_rng(1).random([BATCH, 4]) * np.eye(4)[IDS] + 0.1
    unit = distributions / np.linalg.norm(distributions, axis=1, keepdims=True)
    cases = [
        (IDS[:, None] == IDS, supcon_tf.SupConLoss(0.1), IDS),
        (unit @ unit.T, supcon_tf.GeneralizedSupConLoss(0.1), distributions),
        # Without labels, the positives are the other views.
        (np.eye(BATCH), supcon_tf.SupConLoss(0.1), np.full(BATCH, -1)),
    ]
    for weights, other, labels in cases:
        loss = supcon_tf.PairwiseSupConLoss(0.1)

        @tf.function(jit_compile=jit_compile)
        def value_and_gradient(loss, y, z):
            with tf.GradientTape() as tape:
                tape.watch(z)
                value = loss(y, z)
            return value, tape.gradient(value, z)

        z = tf.constant(Z, tf.float32)
        for actual, expected in zip(
            value_and_gradient(loss, tf.constant(weights), z),
            value_and_gradient(other, tf.constant(labels), z),
            strict=True,
        ):
            np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_options_and_single_views():
    z = Z[:, 0]
    assert float(supcon_tf.PairwiseSupConLoss(0.2)(WEIGHTS, z)) == pytest.approx(
        naive(WEIGHTS, z[:, None]), rel=1e-5
    )
    masks = [(WEIGHTS > 0.5).astype(dtype) for dtype in ("bool", "int64", "float32")]
    values = [float(supcon_tf.PairwiseSupConLoss(0.2)(mask, Z)) for mask in masks]
    assert values == [pytest.approx(naive(masks[0], Z), rel=1e-5)] * 3
    losses = supcon_tf.PairwiseSupConLoss(0.2, reduction=None)(WEIGHTS, Z)
    assert losses.shape == (BATCH,)
    assert losses[3] == 0
    first = supcon_tf.PairwiseSupConLoss(0.2, anchors="first_view", reduction=None)(WEIGHTS, Z)
    assert not np.allclose(first, losses)
    loss = supcon_tf.PairwiseSupConLoss(0.3, weighting="contrast_count", base_temperature=0.1)
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert restored.get_config() == loss.get_config()


def test_a_model_trains_on_pair_weights():
    encoder = keras.Sequential([keras.Input([DIM]), keras.layers.Dense(4)])
    model = supcon_tf.SupConModel(encoder)
    model.compile("sgd", loss=supcon_tf.PairwiseSupConLoss(0.2))
    data = tf.data.Dataset.from_tensors((Z.astype("float32"), WEIGHTS.astype("float32"))).repeat(5)
    with pytest.raises(ValueError, match="must not compare classes.*Received: nearest_neighbor"):
        model.compile("sgd", loss=model.loss, metrics=supcon_tf.metrics.HEALTH)
    with pytest.raises(ValueError, match="`shuffle` must be False for arrays"):
        model.fit(Z, WEIGHTS, batch_size=BATCH, verbose=0)
    model.fit(Z, WEIGHTS, batch_size=BATCH, shuffle=False, verbose=0)
    before = model.evaluate(data, verbose=0)
    model.fit(data, epochs=3, verbose=0)
    assert model.evaluate(data, verbose=0) < before


def test_invalid_weights_are_named():
    loss = supcon_tf.PairwiseSupConLoss()
    for weights, message in (
        (IDS, r"of shape \[batch, batch\].*shape=\(9,\)"),
        (WEIGHTS[:, :5], r"shape \[9, 9\] on each of 1 replicas.*shape=\(9, 5\)"),
        (np.full([BATCH, BATCH], "a"), "must be numbers.*string"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(weights, Z)
    for value in (-1.0, np.nan, np.inf):
        weights = WEIGHTS.copy()
        weights[2, 5] = value
        assert np.isnan(loss(weights, Z))
    with pytest.raises(NotImplementedError, match="Use SupConLoss or GeneralizedSupConLoss"):
        loss.contrast(Z[:, 0], WEIGHTS, Z[:, 0], WEIGHTS)
