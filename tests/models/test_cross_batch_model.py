"""A memory of the projections of earlier batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import CrossBatchSupConModel, GeneralizedSupConLoss, SupConLoss

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=[24, 6]).astype("float32")
IDS = RNG.integers(0, 4, 24)


def build(memory_size=16, loss=None, learning_rate=0.1, **options):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input([6]), keras.layers.Dense(5, "tanh")])
    model = CrossBatchSupConModel(
        encoder, supcon_tf.projection_head((4,)), memory_size=memory_size, **options
    )
    model.compile(keras.optimizers.SGD(learning_rate), loss=loss or SupConLoss(0.2))
    return model


@pytest.mark.usefixtures("uncompiled")
def test_steps_by_hand():
    model = build(memory_size=20)
    memory, memory_ids = np.zeros([0, 4], "float32"), np.zeros([0], int)
    for start in (0, 8, 16):
        images, ids = IMAGES[start : start + 8], IDS[start : start + 8]
        with tf.GradientTape() as tape:
            z = model(images, training=True)
            logits = tf.matmul(z, tf.concat([z, memory], 0), transpose_b=True) / 0.2
            others = np.concatenate([~np.eye(8, dtype=bool), np.ones([8, len(memory)], bool)], 1)
            same = others & (ids[:, None] == np.concatenate([ids, memory_ids]))
            log_denominator = tf.reduce_logsumexp(tf.where(others, logits, -1e9), axis=1)
            log_probabilities = logits - log_denominator[:, None]
            sums = tf.reduce_sum(tf.where(same, log_probabilities, 0.0), axis=1)
            loss = -tf.reduce_mean(sums / np.maximum(same.sum(1), 1))
        gradients = tape.gradient(loss, model.trainable_variables)
        expected = [
            w.numpy() - 0.1 * g.numpy()
            for w, g in zip(model.trainable_variables, gradients, strict=True)
        ]
        logs = model.train_on_batch(images, ids, return_dict=True)
        assert logs["loss"] == pytest.approx(float(loss), rel=1e-5)
        for weight, value in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(weight, value, atol=1e-6)
        memory = np.concatenate([memory, z.numpy()])[-20:]
        memory_ids = np.concatenate([memory_ids, ids])[-20:]
    # The oldest of the last 20 is behind the four that began the memory again.
    held = np.roll(model.queue.embeddings.numpy(), -4, axis=0)
    np.testing.assert_allclose(held, memory, atol=1e-6)
    assert np.roll(model.queue.labels.numpy(), -4).tolist() == memory_ids.tolist()


@pytest.mark.usefixtures("uncompiled")
def test_views_and_distributions_enter_the_memory():
    model = build(16, GeneralizedSupConLoss(0.2), num_classes=4)
    views = RNG.normal(size=[4, 2, 6]).astype("float32")
    per_view = RNG.random([4, 2, 4]).astype("float32")
    model.train_on_batch(views, per_view)
    np.testing.assert_allclose(model.queue.labels[:8], per_view.reshape(8, 4))
    model.train_on_batch(views, per_view[:, 0])
    np.testing.assert_allclose(model.queue.labels[8:], np.repeat(per_view[:, 0], 2, axis=0))
    before = model.queue.embeddings.numpy()
    model.evaluate(views, per_view, verbose=0)
    np.testing.assert_array_equal(model.queue.embeddings, before)


@pytest.mark.usefixtures("uncompiled")
def test_the_last_rows_of_a_large_batch_remain():
    model = build(memory_size=5)
    for start in (0, 8):
        model.train_on_batch(IMAGES[start : start + 8], IDS[start : start + 8])
    assert model.queue.num_enqueued.numpy() == 16
    # The place of row n is n modulo 5.
    assert model.queue.labels.numpy().tolist() == IDS[[15, 11, 12, 13, 14]].tolist()


@pytest.mark.usefixtures("uncompiled")
def test_save_and_resume(tmp_path):
    model = build()
    model.fit(IMAGES, IDS, batch_size=8, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for each in (model, loaded):
        each.fit(IMAGES, IDS, batch_size=8, shuffle=False, verbose=0)
    for actual, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow
def test_it_learns_compiled_by_xla():
    model = build(learning_rate=0.5)
    model.compile(keras.optimizers.SGD(0.5), loss=SupConLoss(0.2), jit_compile=True)
    losses = model.fit(IMAGES, IDS, batch_size=8, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[3]


def test_what_does_not_fit_is_named():
    encoder = keras.Sequential([keras.Input([6]), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match="`memory_size` must be.*Received: 0"):
        CrossBatchSupConModel(encoder, memory_size=0)
    with pytest.raises(ValueError, match="`distillation` is an argument of"):
        CrossBatchSupConModel(encoder, memory_size=8, distillation=object())
    for loss in (
        supcon_tf.NPairsLoss(normalize=True),
        supcon_tf.PairwiseSupConLoss(),
        SupConLoss(positives_cap=2),
        SupConLoss(cross_replica=False),
    ):
        with pytest.raises(ValueError, match="`loss` must be a SupConLoss without"):
            build(loss=loss)
    with pytest.raises(ValueError, match="`num_classes` must be None for class ids"):
        build(num_classes=4).train_on_batch(IMAGES[:8], IDS[:8])
