"""Options of SupConLoss: sums, denominators, caps, references and precisions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import GeneralizedSupConLoss, SupConLoss

# From google-research/supcon, losses_test.py: three samples, not normalized.
FEATURES = np.array(
    [
        [[0.01, 0.02, 0.14], [0.38, 0.61, 0.50]],
        [[0.86, 0.97, 0.33], [0.26, 0.68, 0.45]],
        [[0.32, 0.64, 0.28], [0.45, 0.74, 0.73]],
    ]
)


@pytest.fixture(autouse=True)
def uncompiled():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("summation", "denominator", "cap", "ids", "expected"),
    [
        ("outside", "all", None, [0, 0, 1], [1.6755852, 1.7973773, 1.58471]),
        ("outside", "all", 4, [0, 0, 1], [1.6755852, 1.7973773, 1.58471]),
        ("outside", "one_positive", None, [0, 0, 1], [1.1782627, 1.3435497, 1.58471]),
        ("outside", "only_negatives", None, [0, 0, 1], [0.79652834, 1.0154991, 1.3529458]),
        ("outside", "all", 0, [0, 0, 1], [1.3769293, 1.0785717, 1.58471]),
        ("outside", "all", 2, [0, 0, 0], [1.1385298, 1.1824025, 1.1557417]),
        ("inside", "all", None, [0, 0, 1], [1.6356678, 1.7135872, 1.58471]),
        ("inside", "all", 4, [0, 0, 1], [1.6356678, 1.7135872, 1.58471]),
        ("inside", "one_positive", None, [0, 0, 1], [1.1571673, 1.2941568, 1.58471]),
        ("inside", "only_negatives", None, [0, 0, 1], [0.756611, 0.93170905, 1.3529458]),
        ("inside", "all", 0, [0, 0, 1], [1.3769293, 1.0785717, 1.58471]),
        ("inside", "all", 2, [0, 0, 0], [1.0986123, 1.0986123, 1.0986123]),
    ],
)
def test_published_values_of_the_official_code(summation, denominator, cap, ids, expected):
    for block_size in (None, 4):
        loss = SupConLoss(
            1.0, summation=summation, denominator=denominator, positives_cap=cap,
            normalize=False, block_size=block_size, reduction=None,
        )  # fmt: skip
        np.testing.assert_allclose(loss(np.array(ids), FEATURES), expected, rtol=1e-6)


@pytest.mark.gpu
def test_published_values_of_the_official_code_for_orthogonal_features():
    features = np.eye(3)[[2, 1, 0]][:, None].repeat(2, axis=1)
    loss = SupConLoss(1.0, reduction=None)
    np.testing.assert_allclose(
        loss(np.array([0, 0, 1]), features), [1.5714991, 1.5714991, 0.9048324], rtol=1e-6
    )


CONTRASTS = [
    *(
        {"summation": summation, "denominator": denominator}
        for summation in ("outside", "inside")
        for denominator in ("all", "one_positive", "only_negatives")
    ),
    {"positives_cap": 1},
    {"weighting": "similarity_sum"},
    {"weighting": "contrast_count"},
]


@pytest.mark.gpu
def test_contrast_with_keys_and_a_queue():
    rng = np.random.default_rng(0)
    keys = rng.normal(size=[5, 4]).astype("float32")
    queue = rng.normal(size=[7, 4]).astype("float32")
    queries = tf.constant(rng.normal(size=[5, 4]).astype("float32"))
    ids, queue_ids = np.array([0, 0, 1, -1, 2]), np.array([0, 1, 1, -1, 3, 2, 0])
    sample_ids = np.concatenate([np.arange(5), np.full(7, -1)])
    columns = tf.constant(np.concatenate([keys, queue]))
    loss = SupConLoss(0.2, reduction=None)
    with tf.GradientTape() as tape:
        tape.watch([queries, columns])
        column_ids = np.concatenate([ids, queue_ids])
        actual = loss.contrast(queries, ids, columns, column_ids, ref_sample_ids=sample_ids)
    z, c = (tf.math.l2_normalize(x, axis=1).numpy() for x in (queries, columns))
    s = z @ c.T / 0.2
    positive = (ids[:, None] == column_ids) & (ids[:, None] != -1)
    positive |= np.arange(5)[:, None] == sample_ids
    log_p = s - np.log(np.exp(s).sum(1, keepdims=True))
    np.testing.assert_allclose(actual, -(log_p * positive).sum(1) / positive.sum(1), rtol=1e-5)
    assert all(np.abs(x).max() > 0 for x in tape.gradient(actual, [queries, columns]))

    one_hot = np.where(column_ids[:, None] < 0, 0, np.eye(4)[column_ids])
    generalized = GeneralizedSupConLoss(0.2, reduction=None)
    cosines = generalized.contrast(
        queries, one_hot[:5], columns, one_hot, ref_sample_ids=sample_ids
    )
    np.testing.assert_allclose(cosines, actual, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.2, 0.02])
@pytest.mark.parametrize("arguments", CONTRASTS, ids=str)
def test_masked_references_have_no_effect(arguments, temperature):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=[12, 4]).astype("float32")
    ids = np.array([0, 0, 1, -1, 2, 0, 1, 1, -1, 3, 2, 0])
    sample_ids = np.concatenate([np.arange(5), np.full(7, -1)])
    mask = np.arange(12) % 3 < 2
    mask[8:] = False
    queries = tf.constant(rng.normal(size=[5, 4]).astype("float32"))
    arguments = {"temperature": temperature, "block_size": 4, "reduction": None, **arguments}
    if "weighting" in arguments:
        loss = GeneralizedSupConLoss(**arguments)
        labels = np.where(ids[:, None] < 0, 0, 0.2 + np.eye(4)[ids])
        none = np.zeros(4)
    else:
        loss, labels, none = SupConLoss(**arguments), ids, -1

    def losses_and_gradients(columns, column_labels, ids, mask=None):
        columns = tf.constant(columns)
        with tf.GradientTape() as tape:
            tape.watch([queries, columns])
            losses = loss.contrast(
                queries, labels[:5], columns, column_labels, ref_sample_ids=ids, ref_mask=mask
            )
        return losses, *tape.gradient(losses, [queries, columns])

    without = losses_and_gradients(columns[mask], labels[mask], sample_ids[mask])
    known = labels.copy()
    known[~mask] = none
    actual = losses_and_gradients(columns, known, np.where(mask, sample_ids, -1), mask)
    assert np.abs(without[0]).max() > 0
    np.testing.assert_allclose(actual[0], without[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actual[1], without[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual[2][mask], without[2], rtol=1e-4, atol=1e-5)
    assert not np.any(actual[2][~mask])


@pytest.mark.gpu
def test_masked_references_and_opposite_rows_at_a_low_temperature():
    # exp((0 - -1) / 0.005) overflows float32.
    queries = tf.constant([[1.0, 0.0], [1.0, 0.001]])
    columns = tf.constant([[-1.0, 0.0], [-1.0, 0.001], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(queries)
        losses = SupConLoss(0.005, reduction=None).contrast(
            queries,
            [0, 1],
            columns,
            [0, 1, -1],
            ref_sample_ids=[0, 1, -1],
            ref_mask=[True, True, False],
        )
    assert np.isfinite(losses).all()
    assert np.isfinite(tape.gradient(losses, queries)).all()


def test_references_without_a_gradient():
    columns, queries = tf.Variable(tf.eye(4)), tf.Variable(tf.eye(4) + 0.1)
    ids = np.array([0, 0, 1, 1])
    with tf.GradientTape() as tape:
        loss = SupConLoss().contrast(queries, ids, tf.stop_gradient(columns), ids)
    gradients = tape.gradient(loss, [queries, columns])
    assert gradients[1] is None
    assert np.abs(gradients[0]).max() > 0


@pytest.mark.gpu
def test_bfloat16_products_and_half_precision_embeddings():
    features = np.random.default_rng(0).normal(size=[20, 2, 8]).astype("float32")
    ids = np.arange(20) % 3
    exact = float(SupConLoss()(ids, features))
    rounded = float(SupConLoss(product_dtype="bfloat16")(ids, features))
    assert 1e-6 < abs(rounded - exact) < 0.02
    # A loss in half precision multiplies in float32.
    half = SupConLoss(dtype="bfloat16", normalize=False)(ids, tf.math.l2_normalize(features, -1))
    widened = tf.cast(tf.cast(tf.math.l2_normalize(features, -1), "bfloat16"), "float32")
    expected = SupConLoss(normalize=False)(ids, widened)
    np.testing.assert_allclose(float(half), expected, rtol=4e-3)


def test_config_round_trip():
    loss = SupConLoss(
        summation="inside", denominator="one_positive", positives_cap=4, block_size=64,
        product_dtype="bfloat16",
    )  # fmt: skip
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert copy.get_config() == loss.get_config()
    assert copy.positives_cap == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"summation": "both"}, "`summation`.*Received: 'both'"),
        ({"denominator": "none"}, "`denominator`.*Received: 'none'"),
        ({"positives_cap": -1}, "`positives_cap`.*Received: -1"),
        ({"positives_cap": 2.0}, "`positives_cap`.*Received: 2.0"),
        ({"block_size": 0}, "`block_size`.*Received: 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SupConLoss(**arguments)


def test_bad_calls():
    with pytest.raises(ValueError, match="multiple of the number of views.*3.*views=2"):
        SupConLoss(positives_cap=3)(np.array([0, 0, 1]), FEATURES)
    with pytest.raises(ValueError, match=r"dim as `embed.*\(3, 2\), embeddings.shape=\(3, 3\)"):
        SupConLoss().contrast(np.eye(3), np.arange(3), np.eye(3)[:, 1:], np.arange(3))
    with pytest.raises(ValueError, match="`ref_embeddings` must have shape"):
        SupConLoss().contrast(np.eye(3), np.arange(3), FEATURES, np.arange(3))


@pytest.mark.parametrize("reduction", [None, "sum_over_batch_size", "sum"])
def test_contrast_reduces_like_a_call(reduction):
    rng = np.random.default_rng(0)
    queries, queue = rng.normal(size=[4, 2, 3]), rng.normal(size=[5, 3])
    ids, queue_ids = np.array([0, 0, 1, 2]), np.array([0, 1, 2, -1, 0])
    weights = np.array([1.0, 0.0, 2.0, 0.5])
    losses = SupConLoss(reduction=None).contrast(queries, ids, queue, queue_ids)
    assert losses.shape == [4]
    loss = SupConLoss(reduction=reduction)
    actual = loss.contrast(queries, ids, queue, queue_ids, sample_weight=weights)
    weighted = weights * losses
    expected = {None: weighted, "sum": np.sum(weighted)}.get(reduction, np.mean(weighted))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="`sample_weight`.*Received"):
        loss.contrast(queries, ids, queue, queue_ids, sample_weight=np.ones(3))
