import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import GeneralizedSupConLoss, SupConLoss
from supcon_tf.losses import generalized

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "data" / "generalized.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files})


def embeddings(batch, views=2, dim=6):
    return np.random.default_rng(0).normal(size=[batch, views, dim]).astype("float32")


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_equals_the_authors_code(case, uncompiled):
    features = tf.constant(GOLDEN[f"{case}/features"], tf.float32)
    labels = GOLDEN[f"{case}/label_distributions"]
    loss = GeneralizedSupConLoss(float(GOLDEN[f"{case}/temperature"]), normalize=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        value = loss(labels, features)
    expected = GOLDEN[f"{case}/gradient"]
    np.testing.assert_allclose(value, GOLDEN[f"{case}/loss"], rtol=1e-5)
    gradient = tape.gradient(value, features)
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


PLANE = np.radians([0, 30, 75, 120, 200, 290])
PLANE = np.stack([np.cos(PLANE), np.sin(PLANE)], axis=1)
MIXED = [[1, 0, 0], [0.7, 0.3, 0], [0, 1, 0], [0, 0.4, 0.6], [0, 0, 1], [0.5, 0, 0.5]]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("labels", "temperature", "expected"),
    [
        (MIXED, 1.0, [1.166477, 1.449208, 1.142283, 1.667697, 1.163851, 1.571659]),
        (MIXED, 0.1, [2.285994, 4.437788, 0.698783, 7.271357, 0.960501, 5.156075]),
        (
            np.eye(3)[[0, 0, 1, 1, 2, 2]],
            1.0,
            [0.938635, 1.024019, 1.142283, 0.941127, 1.257723, 1.401847],
        ),
        (
            np.eye(3)[[0, 0, 1, 1, 2, 2]],
            0.1,
            [0.007579, 0.185895, 0.698783, 0.005661, 1.899223, 3.457957],
        ),
    ],
)
def test_values_computed_by_hand(labels, temperature, expected):
    loss = GeneralizedSupConLoss(temperature, reduction=None)
    np.testing.assert_allclose(loss(np.array(labels), PLANE), expected, rtol=1e-6, atol=6e-7)


@pytest.mark.gpu
def test_labels_shared_by_views_or_one_per_view(uncompiled):
    features, labels = embeddings(7), np.random.default_rng(1).random([7, 4])
    shared = GeneralizedSupConLoss()(labels, features)
    repeated = GeneralizedSupConLoss()(np.repeat(labels[:, None], 2, axis=1), features)
    assert float(shared) == float(repeated)


@pytest.mark.gpu
def test_unlabeled_samples(uncompiled):
    # Zero in all views is the same as class id -1.
    features, ids = embeddings(6), np.array([0, -1, 1, -1, 0, 2])
    one_hot = np.where(ids[:, None] < 0, 0, np.eye(3)[ids])
    expected = SupConLoss(reduction=None)(ids, features)
    actual = GeneralizedSupConLoss(reduction=None)(one_hot, features)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    # A zero view of a labeled sample has no positives, and is no positive of the other view.
    views = np.stack([one_hot[2:3], 0 * one_hot[2:3]], axis=1)
    alone = GeneralizedSupConLoss(reduction=None)(views, features[2:3])
    np.testing.assert_array_equal(alone, [0.0])


@pytest.mark.gpu
def test_first_view_and_contrast_count(uncompiled):
    features, labels = embeddings(7), np.eye(3)[[0, 0, 1, 1, 1, 2, 2]]
    ids = labels.argmax(1)
    first = GeneralizedSupConLoss(anchors="first_view", reduction=None)(labels, features)
    expected = SupConLoss(anchors="first_view", reduction=None)(ids, features)
    np.testing.assert_allclose(first, expected, rtol=1e-6)
    counted = GeneralizedSupConLoss(weighting="contrast_count", reduction=None)(labels, features)
    positives = 2 * np.bincount(ids)[ids] - 1
    expected = SupConLoss(reduction=None)(ids, features) * positives / 13
    np.testing.assert_allclose(counted, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.versions
def test_fit_with_mixed_labels_and_two_batch_sizes():
    x = np.random.default_rng(0).normal(size=[50, 8]).astype("float32")
    y = np.random.default_rng(1).dirichlet(np.ones(4), 50)
    inputs = keras.Input((8,))
    outputs = keras.layers.Reshape((2, 4))(keras.layers.Dense(8)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), loss=GeneralizedSupConLoss())
    losses = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_config_round_trip():
    loss = GeneralizedSupConLoss(
        0.2, weighting="contrast_count", anchors="first_view", base_temperature=0.07,
        normalize=False, block_size=32, product_dtype="bfloat16", reduction="sum", name="x",
    )  # fmt: skip
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(copy, GeneralizedSupConLoss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1]), "label distributions.*shape="),
        (np.array([[0], [1]]), "two or more classes"),
        (-np.eye(2), "not negative"),
        (np.array([[np.nan, 1], [0, 1]]), "finite"),
        (np.array([[np.inf, 1], [0, 1]]), "finite"),
        (np.ones([2, 3, 4]), "as many views"),
        (np.ones([3, 4]), "same batch size"),
        (np.array([["a", "b"], ["c", "d"]]), "must be numbers.*dtype=string"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        GeneralizedSupConLoss()(labels, embeddings(2))


def test_bad_arguments():
    with pytest.raises(ValueError, match="`weighting`.*Received: 'none'"):
        GeneralizedSupConLoss(weighting="none")
    with pytest.raises(ValueError, match="`block_size`.*Received: 0"):
        GeneralizedSupConLoss(block_size=0)
    with pytest.raises(ValueError, match="`product_dtype`.*float16"):
        GeneralizedSupConLoss(product_dtype="float16")


@pytest.mark.parametrize(("rows", "cheaper"), [(16, True), (17, False)])
def test_labels_are_gathered_where_that_sends_fewer_bytes(rows, cheaper):
    # For each class, 2 replicas receive a float32 number per row of both. The moments of 4
    # dimensions are 8 float64 numbers, each sent twice: 128 bytes.
    labels, embedding = tf.zeros([rows, 10]), tf.zeros([rows, 4])
    assert generalized._gathering_labels_is_cheaper(labels, embedding, replicas=2) is cheaper


# Labels of 10 classes are gathered for 6 dimensions, and their moments are reduced for 2.
@pytest.mark.slow
@pytest.mark.parametrize(("dim", "weighting"), [(6, "similarity_sum"), (2, "contrast_count")])
def test_two_replicas_equal_one(two_replicas, dim, weighting):
    loss = GeneralizedSupConLoss(weighting=weighting, reduction=None, dtype="float64")
    y = np.random.default_rng(1).dirichlet(np.full(10, 0.3), 12)
    y[3] = 0  # unlabeled
    labels, features = tf.constant(y), tf.cast(embeddings(12, dim=dim), tf.float64)

    def losses_and_gradient(labels, features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            losses = loss(labels, features)
        return losses, tape.gradient(losses, features)

    def shard(x):
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: tf.split(x, 2)[context.replica_id_in_sync_group]
        )

    run = tf.function(lambda *shards: two_replicas.run(losses_and_gradient, shards))
    results = run(shard(labels), shard(features))
    for result, expected in zip(results, losses_and_gradient(labels, features), strict=True):
        parts = tf.concat(two_replicas.experimental_local_results(result), axis=0)
        np.testing.assert_allclose(parts, expected, rtol=1e-12, atol=1e-14)
