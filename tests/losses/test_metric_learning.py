import math
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import MaxMarginLoss, NPairsLoss, TripletLoss
from supcon_tf.similarity.pair_losses import max_margin

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "data" / "addons_metric_losses.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files})
LOSSES = {
    "npairs": NPairsLoss,
    "triplet_semihard": TripletLoss,
    "triplet_hard": lambda **arguments: TripletLoss("hard", **arguments),
    "max_margin": MaxMarginLoss,
}


def value_and_gradient(loss, ids, embeddings):
    embeddings = tf.convert_to_tensor(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = loss(np.asarray(ids), embeddings)
    return value.numpy(), tape.gradient(value, embeddings).numpy()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["npairs", "triplet_semihard", "triplet_hard"])
def test_equals_tensorflow_addons(name):
    for case in CASES:
        ids, embeddings = GOLDEN[f"{case}/class_ids"], GOLDEN[f"{case}/embeddings"]
        value, gradient = value_and_gradient(LOSSES[name](), ids, embeddings)
        np.testing.assert_allclose(value, GOLDEN[f"{case}/{name}_loss"], rtol=1e-5)
        expected = GOLDEN[f"{case}/{name}_gradient"]
        np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.gpu
def test_pairs_equal_tensorflow_addons():
    for case in CASES:
        distances, same = GOLDEN[f"{case}/pair_distances"], GOLDEN[f"{case}/pair_same"] == 1
        expected = GOLDEN[f"{case}/max_margin_pair_losses"]
        np.testing.assert_allclose(max_margin(distances, same, 1.0), expected, rtol=1e-5)


def naive(name, rows, classes, margin):
    """Returns the losses of rows, computed pair by pair."""
    size = len(rows)
    losses, positive_pairs = np.zeros(size), 0
    for i in range(size):
        products = [rows[i] @ row for row in rows]
        distances = [np.sqrt(np.sum((rows[i] - row) ** 2)) for row in rows]
        positives = [j for j in range(size) if j != i and classes[j] == classes[i]]
        negatives = [distances[j] for j in range(size) if classes[j] != classes[i]]
        positive_pairs += len(positives)
        if name == "npairs":
            log_total = np.log(np.sum(np.exp(products)))
            losses[i] = np.mean([log_total - products[j] for j in [i, *positives]])
        elif name == "max_margin":
            pairs = [distances[j] ** 2 for j in positives]
            pairs += [max(0, margin - d) ** 2 for d in negatives]
            losses[i] = np.mean(pairs) if pairs else 0
        elif not negatives:
            continue
        elif name == "triplet_hard":
            farthest = max([0, *(distances[j] for j in positives)])
            losses[i] = max(0, margin + farthest - min(negatives))
        else:
            for j in positives:
                behind = [d for d in negatives if d > distances[j]] or [max(negatives)]
                losses[i] += max(0, margin + distances[j] - min(behind))
    return losses * size / positive_pairs if name == "triplet_semihard" else losses


def difference_quotients(function, x, step=1e-6):
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        gradient[place] = (function(x + shift) - function(x - shift)) / (2 * step)
    return gradient


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "normalize"),
    [
        ("npairs", False),
        ("npairs", True),
        ("triplet_semihard", True),
        ("triplet_hard", False),
        ("max_margin", False),
    ],
)
def test_equals_the_definition(name, normalize):
    embeddings = np.random.default_rng(0).normal(size=[6, 2, 3])
    ids, classes = [4, 4, -1, 9, 9, -1], np.repeat([4, 4, -1, 9, 9, -2], 2)
    weights, margin = np.arange(1, 7), 1.0 if name == "npairs" else 1.5

    def expected(x):
        x = x.reshape(12, 3)
        if normalize:
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return naive(name, x, classes, margin).reshape(6, 2).mean(axis=1)

    arguments = {} if name == "npairs" else {"margin": margin}
    loss = LOSSES[name](normalize=normalize, reduction=None, dtype="float64", **arguments)
    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = loss(np.array(ids), x)
        total = tf.reduce_sum(weights * losses)
    np.testing.assert_allclose(losses, expected(embeddings), rtol=1e-6)
    slopes = difference_quotients(lambda x: weights @ expected(x), embeddings)
    np.testing.assert_allclose(tape.gradient(total, x), slopes, atol=1e-6)

    one_hot = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [0, 1], [0, 0]])
    np.testing.assert_allclose(loss(one_hot, x), losses)


def test_semi_hard_negatives_are_farther_than_the_positive():
    # The anchor at 0 has its positive at distance 1, and negatives at 0.5 and 1.2. The anchor at 1
    # has negatives at distances 0.2 and 0.5, both nearer than its positive.
    line = np.array([[0.0], [1.0], [0.5], [1.2]])
    losses = TripletLoss(reduction=None)(np.array([0, 0, 1, 2]), line)
    scale = 4 / 2  # rows divided by pairs
    np.testing.assert_allclose(losses, scale * np.array([0.8, 1.5, 0, 0]), rtol=1e-5)
    # The negative at -1 is as far from 0 as the positive is, and therefore not farther.
    line[2] = -1
    losses = TripletLoss(reduction=None)(np.array([0, 0, 1, 2]), line)
    np.testing.assert_allclose(losses, scale * np.array([0.8, 0, 0, 0]), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_semi_hard_negatives_of_points_on_a_grid(jit_compile):
    # Many distances are equal, and exact in float64.
    rng = np.random.default_rng(0)
    points, ids = rng.integers(-2, 3, size=[40, 2]).astype("float64"), rng.integers(0, 4, size=40)
    loss = TripletLoss(reduction=None, dtype="float64")
    losses = tf.function(loss, jit_compile=jit_compile)(ids, tf.constant(points))
    expected = naive("triplet_semihard", points, ids, margin=1.0)
    np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_xla_holds_pairs_and_no_triplets(name):
    rows = 61

    @tf.function(jit_compile=True)
    def gradient(ids, embeddings):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            value = LOSSES[name]()(ids, embeddings)
        return tape.gradient(value, embeddings)

    specs = tf.TensorSpec([rows], tf.int64), tf.TensorSpec([rows, 2])
    program = gradient.experimental_get_compiler_ir(*specs)(stage="hlo")
    shapes = re.findall(r"\w\d*\[([\d,]+)\]", program)
    largest = max(math.prod(map(int, shape.split(","))) for shape in shapes)
    assert rows**2 <= largest <= 3 * rows**2


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("npairs", [[5], [-1]]),
        ("triplet_semihard", [[5], [-1], [1, 2, 3], [-1, -1, -1], [1, 1, 1]]),
        ("triplet_hard", [[5], [-1], [1, 1, 1]]),
        ("max_margin", [[5], [-1]]),
    ],
)
def test_empty_sets_give_loss_and_gradient_0(name, ids):
    for labels in ids:
        shape = [len(labels), 4]
        embeddings = np.random.default_rng(0).normal(size=shape).astype("float32")
        value, gradient = value_and_gradient(LOSSES[name](), labels, embeddings)
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros(shape))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["triplet_hard", "max_margin"])
def test_equal_rows_have_finite_gradients(name):
    # Under XLA, 0 times the infinite slope of the square root is NaN.
    embeddings = np.ones([6, 4], "float32")
    embeddings[4:] = 0
    compiled = tf.function(LOSSES[name](), jit_compile=True)
    value, gradient = value_and_gradient(compiled, [0, 0, 1, 1, 0, 1], embeddings)
    assert value > 0
    assert np.isfinite(gradient).all()


def test_class_ids_that_collide_in_float32():
    embeddings = np.random.default_rng(0).normal(size=[4, 3])
    near, far = np.array([2**24, 2**24 + 1, 0, 0]), np.array([7, 8, 0, 0])
    loss = MaxMarginLoss()
    assert float(loss(near, embeddings)) == float(loss(far, embeddings)) > 0


@pytest.mark.slow
def test_two_replicas_have_the_loss_of_the_global_batch(two_replicas):
    # All losses gather in the same way. Semi-hard mining also counts the global positive pairs.
    loss, rng = TripletLoss(), np.random.default_rng(0)
    ids = np.array([0, 1, -1, 2, 1, 0, 0, -1])
    arrays = ids, rng.normal(size=[8, 2, 3]).astype("float32"), rng.random(8).astype("float32")

    def step(ids, embeddings, weights):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses = loss.call(ids, embeddings)
            total = tf.reduce_sum(weights * losses)
        return losses, tape.gradient(total, embeddings)

    parts = [
        two_replicas.experimental_distribute_values_from_function(
            lambda context, x=x: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
        )
        for x in arrays
    ]
    outcome = tf.function(lambda: two_replicas.run(step, parts))()
    for x, expected in zip(outcome, step(*map(tf.constant, arrays)), strict=True):
        actual = np.concatenate(two_replicas.experimental_local_results(x))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        NPairsLoss(normalize=True, reduction="sum", name="x"),
        TripletLoss("hard", margin=0.2, cross_replica=False, dtype="float64"),
        MaxMarginLoss(0.5, reduction=None),
    ],
    ids=lambda loss: loss.name,
)
def test_config_round_trip(loss):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TripletLoss("easy"), "`mining`.*semi_hard.*Received: 'easy'"),
        (lambda: TripletLoss(margin=0), "`margin`.*above 0.*Received: 0"),
        (lambda: MaxMarginLoss(-1.0), "`margin`.*Received: -1.0"),
        (lambda: MaxMarginLoss("1"), "`margin`.*Received: '1'"),
        (lambda: NPairsLoss()(np.array([0.0, 1.0]), np.zeros([2, 4])), "must be integers"),
        (lambda: NPairsLoss()(np.zeros([2, 3]) + 0.3, np.zeros([2, 4])), "one-hot"),
        (lambda: TripletLoss()(np.array([0, 1]), np.zeros([2])), "`y_pred`.*shape="),
        (lambda: MaxMarginLoss()(np.arange(3), np.zeros([2, 4])), "same batch size.*3.*2"),
    ],
)
def test_bad_arguments_and_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def blobs(samples):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 3, size=samples)
    return (np.eye(8)[ids] + 0.3 * rng.normal(size=[samples, 8])).astype("float32"), ids


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "samples", "jit_compile", "policy"),
    [
        ("triplet_semihard", 32, True, "float32"),
        ("max_margin", 40, False, "mixed_bfloat16"),  # batches of 16, 16 and 8
    ],
)
def test_fit_with_ids(name, samples, jit_compile, policy):
    keras.config.set_dtype_policy(policy)
    x, ids = blobs(samples)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    loss = LOSSES[name]()
    model.compile(keras.optimizers.SGD(0.05), loss=loss, jit_compile=jit_compile)
    losses = model.fit(x, ids, batch_size=16, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.gpu
def test_half_precision_embeddings_use_float32_distances():
    embeddings = np.random.default_rng(0).normal(size=[8, 16])
    rounded = tf.cast(embeddings, "bfloat16")
    loss, ids = MaxMarginLoss(margin=6.0), np.arange(8) % 3
    expected = loss(ids, tf.cast(rounded, "float32"))
    np.testing.assert_allclose(loss(ids, rounded), expected, rtol=1e-6)


@pytest.mark.slow
def test_supcon_model_trains_saves_and_loads(tmp_path):
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model = supcon_tf.SupConModel(encoder, supcon_tf.projection_head((8,)))
    model.compile(keras.optimizers.SGD(0.1), loss=TripletLoss("hard", margin=0.5))
    views = np.random.default_rng(0).random([8, 2, 8, 8, 1], dtype="float32")
    ids = np.arange(8) % 3
    expected = model.loss(ids, model(views))
    history = model.fit(views, ids, batch_size=8, verbose=0).history
    assert history["loss"][0] == pytest.approx(float(expected), rel=1e-5)
    after = float(model.loss(ids, model(views)))
    assert after < float(expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert (loaded.loss.mining, loaded.loss.margin) == ("hard", 0.5)
    assert loaded.evaluate(views, ids, batch_size=8, verbose=0) == pytest.approx(after, rel=1e-5)
