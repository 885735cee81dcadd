import math
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from supcon_tf import SupConLoss

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "data" / "supcon_outside.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files})


# Within XLA, a case with all views as anchors and the case with the first view.
@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("how", "case"),
    [*(("eager", case) for case in CASES), ("graph", "1"), ("jit", "2"), ("jit", "3")],
)
def test_equals_the_reference_implementation(case, how, request):
    if how == "eager":
        request.getfixturevalue("uncompiled")
    features = tf.constant(GOLDEN[f"{case}/features"], tf.float32)
    labels = tf.constant(GOLDEN[f"{case}/class_ids"])
    loss = SupConLoss(
        float(GOLDEN[f"{case}/temperature"]),
        anchors=str(GOLDEN[f"{case}/anchors"]),
        base_temperature=float(GOLDEN[f"{case}/base_temperature"]),
        normalize=False,
    )

    @tf.function(jit_compile=how == "jit")
    def value_and_gradient(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = loss(labels, features)
        return value, tape.gradient(value, features)

    value, gradient = value_and_gradient(features)
    expected = GOLDEN[f"{case}/gradient"]
    np.testing.assert_allclose(value, GOLDEN[f"{case}/loss"], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.gpu
@pytest.mark.versions
def test_published_values_of_the_official_code():
    # From google-research/supcon, losses_test.py: the features are not normalized.
    features = np.array(
        [
            [[0.01, 0.02, 0.14], [0.38, 0.61, 0.50]],
            [[0.86, 0.97, 0.33], [0.26, 0.68, 0.45]],
            [[0.32, 0.64, 0.28], [0.45, 0.74, 0.73]],
        ]
    )
    loss = SupConLoss(1.0, normalize=False, reduction=None)
    expected = [1.6755852, 1.7973773, 1.58471]
    np.testing.assert_allclose(loss(np.array([0, 0, 1]), features), expected, rtol=1e-6)
    one_hot = np.array([[1, 0], [1, 0], [0, 1]])
    np.testing.assert_allclose(loss(one_hot, features), expected, rtol=1e-6)


@pytest.mark.gpu
def test_the_value_of_a_regular_tetrahedron_without_labels():
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3)
    features, unlabeled = corners.reshape(2, 2, 3), np.array([-1, -1])
    assert float(SupConLoss(0.1)(unlabeled, features)) == pytest.approx(math.log(3), rel=1e-6)
    scaled = SupConLoss(0.1, base_temperature=1.0)
    assert float(scaled(unlabeled, features)) == pytest.approx(0.1 * math.log(3), rel=1e-6)


@pytest.mark.gpu
def test_normalize_ignores_the_length(uncompiled):
    features = np.random.default_rng(0).normal(size=[6, 2, 5])
    labels = np.array([0, 0, 1, 1, 2, 3])
    lengths = np.linspace(0.1, 30, 12).reshape(6, 2, 1)
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    expected = SupConLoss(normalize=False)(labels, unit)
    np.testing.assert_allclose(SupConLoss()(labels, features * lengths), expected, rtol=1e-5)


@pytest.mark.gpu
def test_class_ids_that_collide_in_float32():
    features = np.random.default_rng(0).normal(size=[4, 3])
    near, far = np.array([2**24, 2**24 + 1, 0, 1]), np.array([7, 8, 0, 1])
    loss = SupConLoss()
    with pytest.warns(UserWarning, match="No anchor of the batch has a positive"):
        assert float(loss(near, features)) == float(loss(far, features)) == 0.0


def test_sample_weight_weighs_anchors_but_not_contrasts():
    features = np.random.default_rng(0).normal(size=[5, 2, 4])
    labels = np.array([0, 0, 1, 1, 1])
    weights = np.array([2.0, 0.0, 1.0, 0.5, 0.0])
    per_sample = SupConLoss(reduction=None)(labels, features)
    weighted = SupConLoss()(labels, features, sample_weight=weights)
    np.testing.assert_allclose(weighted, np.sum(weights * per_sample) / 5, rtol=1e-6)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("sum", 12.0), ("mean", 2.0), ("sum_over_batch_size", 2.0), ("mean_with_sample_weight", 2.0)],
)
def test_reductions(reduction, expected, uncompiled):
    # Equal features: log(12 - 1) for each of the 6 samples.
    features = np.ones([6, 2, 3])
    value = SupConLoss(reduction=reduction)(np.arange(6), features)
    np.testing.assert_allclose(value, expected * math.log(11) / 2, rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("ids", [[1, 2, 3], [-1, -1, -1]])
def test_anchors_without_positives_have_loss_and_gradient_0(ids, uncompiled):
    features = tf.Variable(np.random.default_rng(0).normal(size=[3, 4]), dtype=tf.float32)
    with (
        pytest.warns(UserWarning, match="No anchor of the batch has a positive"),
        tf.GradientTape() as tape,
    ):
        value = SupConLoss()(np.array(ids), features)
    assert float(value) == 0.0
    np.testing.assert_array_equal(tape.gradient(value, features), np.zeros([3, 4]))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 4)])
def test_one_row(shape, uncompiled):
    features = tf.Variable(tf.ones(shape))
    with tf.GradientTape() as tape:
        value = SupConLoss()(np.array([1]), features)
    assert float(value) == 0.0
    np.testing.assert_array_equal(tape.gradient(value, features), np.zeros(shape))


def test_config_round_trip():
    loss = SupConLoss(
        0.2, anchors="first_view", base_temperature=0.07, normalize=False, reduction="sum", name="x"
    )
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(copy, SupConLoss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "`temperature`.*above 0.*Received: 0"),
        ({"temperature": True}, "`temperature`.*above 0.*Received: True"),
        ({"temperature": -0.1}, "`temperature`"),
        ({"temperature": float("nan")}, "`temperature`"),
        ({"temperature": "0.1"}, "`temperature`"),
        ({"base_temperature": 0.0}, "`base_temperature`"),
        ({"anchors": "second_view"}, "`anchors`.*second_view"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SupConLoss(**arguments)


@pytest.mark.parametrize(
    ("labels", "features", "message"),
    [
        (np.array([0, 1]), np.zeros([2]), "`y_pred`.*shape="),
        (np.array([0, 1]), np.zeros([2, 2, 2, 2]), "`y_pred`.*shape="),
        (np.array([0, 1, 2]), np.zeros([2, 4]), "same batch size.*3.*2"),
        (np.array([0.0, 1.0]), np.zeros([2, 4]), "must be integers"),
        (np.array(["a", "b"]), np.zeros([2, 4]), "must be integers.*np.unique"),
        (None, np.zeros([2, 4]), "`y_true`.*class id -1.*Received: None"),
    ],
)
def test_bad_input(labels, features, message):
    with pytest.raises(ValueError, match=message):
        SupConLoss()(labels, features)


def plain_model(views):
    """Returns a Keras model without parts of this library, with `views` views per sample."""
    inputs = keras.Input((8,))
    outputs = keras.layers.Dense(4 * views)(inputs)
    if views > 1:
        outputs = keras.layers.Reshape((views, 4))(outputs)
    return keras.Model(inputs, outputs)


def blobs(samples):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=samples)
    return (np.eye(8)[labels] + 0.3 * rng.normal(size=[samples, 8])).astype("float32"), labels


# Every pair of two of the three parameters.
@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("policy", "views", "how"),
    [
        ("float32", 1, "eager"),
        ("mixed_bfloat16", 2, "eager"),
        ("mixed_bfloat16", 1, "graph"),
        ("float32", 2, "graph"),
        ("float32", 1, "jit"),
        ("mixed_bfloat16", 2, "jit"),
    ],
)
def test_fit_a_plain_model(how, views, policy, request):
    if how == "eager":
        request.getfixturevalue("uncompiled")
    keras.config.set_dtype_policy(policy)
    x, y = blobs(50)  # batches of 16, 16, 16 and 2
    model = plain_model(views)
    model.compile(
        keras.optimizers.SGD(0.1),
        loss=SupConLoss(),
        run_eagerly=how == "eager",
        jit_compile=how == "jit",
    )
    losses = model.fit(x, y, batch_size=16, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.gpu
@pytest.mark.versions
def test_fit_keeps_the_dtype_of_integer_labels():
    # In float32 both ids would be equal, and both samples would have positives.
    features = np.random.default_rng(0).normal(size=[2, 8]).astype("float32")
    model = plain_model(1)
    model.compile("sgd", loss=SupConLoss())
    labels = np.array([2**24, 2**24 + 1])
    assert model.evaluate(features, labels, verbose=0) == 0.0


@pytest.mark.versions
def test_fit_with_sample_weight_and_one_hot_labels():
    x, y = blobs(32)
    model = plain_model(2)
    model.compile("sgd", loss=SupConLoss())
    weights = np.linspace(0, 1, 32)
    one_hot = keras.utils.to_categorical(y)
    value = model.evaluate(x, one_hot, sample_weight=weights, batch_size=32, verbose=0)
    expected = SupConLoss()(y, model(x), sample_weight=weights)
    assert value == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.versions
def test_save_and_load_a_compiled_model(tmp_path):
    x, y = blobs(32)
    model = plain_model(2)
    model.compile("sgd", loss=SupConLoss(0.2))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert isinstance(loaded.loss, SupConLoss)
    assert loaded.loss.temperature == 0.2
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


def fit_on(strategy, loss, drop_remainder=True):
    x, y = blobs(16)
    with strategy.scope():
        model = plain_model(2)
        model.compile("sgd", loss=loss)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8, drop_remainder=drop_remainder)
    model.fit(data, verbose=0)


def test_replicas_require_a_static_batch_size(two_replicas):
    with pytest.raises(ValueError, match=r"drop_remainder=True.*y_pred.shape=\(None, 2, 4\)"):
        fit_on(two_replicas, SupConLoss(), drop_remainder=False)


def test_replicas_reject_a_mean_over_sample_weights(two_replicas):
    loss = SupConLoss(reduction="mean_with_sample_weight")
    with pytest.raises(ValueError, match="mean_with_sample_weight.*Received: 2 replicas"):
        fit_on(two_replicas, loss)


def test_references_on_replicas_reject_a_mean_over_sample_weights(two_replicas):
    loss = SupConLoss(reduction="mean_with_sample_weight")
    rows, ids = np.eye(4, dtype="float32"), np.arange(4)
    contrast = tf.function(lambda: two_replicas.run(loss.contrast, (rows, ids, rows, ids)))
    with pytest.raises(ValueError, match="mean_with_sample_weight.*Received: 2 replicas"):
        contrast()


@pytest.mark.slow
@pytest.mark.versions
def test_replicas_accept_integer_ids(two_replicas):
    fit_on(two_replicas, SupConLoss())
