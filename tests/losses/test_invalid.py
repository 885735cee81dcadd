"""Losses of invalid or empty inputs: NaN, an error or 0, never another number."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf.labels import to_soft_labels

LOSSES = [
    supcon_tf.SupConLoss(),
    supcon_tf.SupConLoss(summation="inside", denominator="only_negatives"),
    supcon_tf.GeneralizedSupConLoss(),
    supcon_tf.GeneralizedSupConLoss(weighting="contrast_count"),
    supcon_tf.NPairsLoss(),
    supcon_tf.TripletLoss(),
    supcon_tf.TripletLoss("hard"),
    supcon_tf.MaxMarginLoss(),
]
every_loss = pytest.mark.parametrize(
    "loss", LOSSES, ids=lambda loss: "-".join(str(x) for x in loss.get_config().values())
)
CONTRASTIVE = LOSSES[:4:2]
MODES = {
    "eager": lambda f: f,
    "graph": tf.function,
    "xla": functools.partial(tf.function, jit_compile=True),
}
# One loss per implementation: tiles, sums over labels, and all pairs.
ONE_OF_EACH = [LOSSES[0], LOSSES[3], LOSSES[5]]
one_of_each = pytest.mark.parametrize("loss", ONE_OF_EACH, ids=lambda loss: loss.name)
every_mode = pytest.mark.parametrize("mode", MODES)


def labels_for(loss, ids):
    return to_soft_labels(ids, 4) if isinstance(loss, supcon_tf.GeneralizedSupConLoss) else ids


def value_and_gradient(loss, labels, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(labels, x)
    return value, tape.gradient(value, x)


def nonfinite_batches():
    """Yields batches with one NaN or infinite value, also in row 2, which has no positives."""
    for row in (0, 2):
        for bad in (np.nan, -np.inf):
            x = np.random.default_rng(0).normal(size=[3, 4]).astype("float32")
            x[row, 1] = bad
            yield tf.constant(x)


@every_loss
def test_nonfinite_embeddings_give_nan(loss, uncompiled):
    labels = labels_for(loss, tf.constant([0, 0, 1]))
    for x in nonfinite_batches():
        assert np.isnan(loss(labels, x))


@pytest.mark.slow
@every_mode
def test_nonfinite_references_give_nan(mode):
    loss = supcon_tf.SupConLoss(reduction=None)

    @MODES[mode]
    def contrast(references):
        return loss.contrast(tf.ones([2, 3]), [0, 1], references, [5, 6])

    assert np.isnan(contrast(tf.constant([[1.0, 0, 0], [np.nan, 1, 0]]))).all()


# Rows of labels of which the first one is invalid.
INVALID = [
    (LOSSES[0], [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
    (LOSSES[0], [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
    (LOSSES[5], [[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    (LOSSES[3], [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    (LOSSES[3], [[np.nan, 0.0], [1.0, 0.0], [0.0, 1.0]]),
]


@pytest.mark.slow
@every_mode
@one_of_each
def test_invalid_labels_raise_or_give_nan_under_xla(loss, mode):
    """In a compiled function, nonfinite embeddings of the same shape give NaN as well."""
    function, x = MODES[mode](lambda labels, x: loss(labels, x)), tf.random.normal([3, 4])
    for labels in [labels for other, labels in INVALID if other is loss]:
        if mode == "xla":
            assert np.isnan(function(tf.constant(labels), x))
        else:
            with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="y_true"):
                function(tf.constant(labels), x)
    if mode != "eager":
        valid = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        assert np.isfinite(function(valid, x))
        for x in nonfinite_batches():
            assert np.isnan(function(valid, x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "options"),
    [(LOSSES[0], {}), (LOSSES[5], {}), (LOSSES[0], {"jit_compile": True})],
    ids=["supcon", "triplet", "supcon-xla"],
)
def test_fit_logs_nan_and_stops(loss, options):
    x = np.random.default_rng(0).normal(size=[8, 4]).astype("float32")
    x[0] = np.nan
    labels = np.arange(8) % 4
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", loss=loss, **options)
    stop = keras.callbacks.TerminateOnNaN()
    logs = model.fit(x, labels, batch_size=4, epochs=3, shuffle=False, callbacks=[stop], verbose=0)
    assert np.isnan(logs.history["loss"]).tolist() == [True]
    assert np.isnan(model.evaluate(x, labels, batch_size=4, verbose=0))


@pytest.mark.slow
def test_boolean_one_hot_labels():
    rows, x = np.eye(3)[[0, 0, 1, 2]], tf.random.normal([4, 2, 5])
    for mode in ("eager", "xla"):
        function = MODES[mode](lambda y: supcon_tf.SupConLoss()(y, x))
        assert function(tf.constant(rows > 0)) == function(tf.constant(rows))


def assert_finite(loss, count, function):
    labels, x = labels_for(loss, tf.zeros([count], tf.int64)), tf.random.normal([count, 4])
    value, gradient = function(labels, x)
    assert value.shape == [] and np.isfinite(value)
    assert gradient.shape == [count, 4] and np.isfinite(gradient).all()
    if count == 0:
        assert value == 0


@pytest.mark.parametrize("count", [0, 1, 2])
@every_loss
def test_batches_without_pairs_are_finite(loss, count, uncompiled):
    assert_finite(loss, count, functools.partial(value_and_gradient, loss))


@pytest.mark.parametrize(
    ("loss", "mode"),
    [*((loss, "xla") for loss in ONE_OF_EACH), (LOSSES[0], "graph"), (LOSSES[5], "graph")],
    ids=lambda value: getattr(value, "name", value),
)
def test_empty_batches_are_finite_in_a_graph(loss, mode):
    assert_finite(loss, 0, MODES[mode](functools.partial(value_and_gradient, loss)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "mode", "size"),
    [
        *(
            (loss, *case)
            for loss in CONTRASTIVE
            for case in (("eager", 0), ("eager", 3), ("xla", 0))
        ),
        (LOSSES[0], "graph", 0),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_anchors_without_references_have_loss_0(loss, size, mode, request):
    if mode == "eager":
        request.getfixturevalue("uncompiled")
    labels = labels_for(loss, tf.constant([0, 1]))
    ref_labels = labels_for(loss, tf.fill([size], -1))
    ref_mask = tf.zeros([size], tf.bool)

    def loss_and_gradients(anchors, references):
        with tf.GradientTape() as tape:
            tape.watch([anchors, references])
            value = loss.contrast(anchors, labels, references, ref_labels, ref_mask=ref_mask)
        return value, tape.gradient(value, [anchors, references])

    anchors, references = tf.random.normal([2, 4]), tf.random.normal([size, 4])
    value, (d_anchors, d_references) = MODES[mode](loss_and_gradients)(anchors, references)
    assert value == 0
    np.testing.assert_array_equal(d_anchors, np.zeros([2, 4]))
    np.testing.assert_array_equal(d_references, np.zeros([size, 4]))


def test_one_row_per_replica_has_loss_0(two_replicas, uncompiled):
    """With `cross_replica=False` a single row has no contrasts to average over."""
    loss = supcon_tf.GeneralizedSupConLoss(weighting="contrast_count", cross_replica=False)
    labels, x = tf.constant([[1.0, 0.0]]), tf.constant([[0.6, 0.8]])
    value, gradient = two_replicas.run(lambda: value_and_gradient(loss, labels, x))
    for part in (*value.values, *gradient.values):
        np.testing.assert_array_equal(part, np.zeros(part.shape))


@pytest.mark.slow
def test_a_zero_row_does_not_break_training():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 256)
    x = (rng.normal(size=(256, 20)) + 2 * np.eye(20)[labels]).astype("float32")
    x[0] = 0
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(16)])
    model.compile(keras.optimizers.SGD(0.1), loss=supcon_tf.SupConLoss(0.1))
    losses = model.fit(x, labels, batch_size=64, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.5
    assert np.abs(model.get_weights()[0]).max() < 2


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 2), (1,), (3,), (2, 4)])
def test_bad_shapes_of_sample_weights(shape):
    labels, x = np.array([0, 0, 1, 1]), tf.random.normal([4, 2, 3])
    with pytest.raises(ValueError, match="one weight per sample.*Received"):
        supcon_tf.SupConLoss()(labels, x, sample_weight=np.ones(shape))


def test_sample_weights_as_a_column_or_a_scalar():
    labels, x, loss = np.array([0, 0, 1, 1]), tf.random.normal([4, 2, 3]), supcon_tf.SupConLoss()
    weights = np.array([1.0, 2, 3, 4])
    assert loss(labels, x, weights) == loss(labels, x, weights[:, None])
    np.testing.assert_allclose(loss(labels, x, 2.0), 2 * loss(labels, x), rtol=1e-6)


def test_a_keras_mask_raises():
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.Masking(), keras.layers.Dense(2)])
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    with pytest.raises(ValueError, match="must have no Keras mask.*Received"):
        model.fit(np.ones([4, 3, 4]), np.array([0, 0, 1, 1]), verbose=0)
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Masking(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="`encoder` must have no Keras mask.*Received"):
        supcon_tf.SupConModel(encoder)(np.ones([4, 3, 4]))


@pytest.mark.parametrize("name", ["temperature", "summation", "reduction", "normalize"])
def test_arguments_are_read_only(name):
    loss = supcon_tf.SupConLoss()
    with pytest.raises(AttributeError, match=f"`{name}` cannot be changed.*Received"):
        setattr(loss, name, getattr(loss, name))


def test_a_batch_without_positives_warns_once(uncompiled):
    loss, x = supcon_tf.SupConLoss(), tf.random.normal([4, 3])
    with pytest.warns(
        UserWarning, match="No anchor of the batch has a positive \\(0 of 4\\)"
    ) as caught:
        assert loss(np.array([0, 1, 2, -1]), x) == 0
        assert loss(np.array([0, 1, -1, -1]), x) == 0
    assert len(caught) == 1 and caught[0].filename == __file__
