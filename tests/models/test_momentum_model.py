import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import GeneralizedSupConLoss, MomentumSupConModel, SupConLoss

BATCH, QUEUE, CLASSES, TAU, MOMENTUM, RATE = 4, 12, 3, 0.3, 0.8, 0.2


def small_encoder(norm=False):
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="tanh", use_bias=False),
            *([keras.layers.BatchNormalization(momentum=0.5)] if norm else []),
        ]
    )


def small_model(norm=False, **arguments):
    arguments = {"queue_size": QUEUE, "momentum": MOMENTUM, **arguments}
    return MomentumSupConModel(small_encoder(norm), supcon_tf.projection_head((3,)), **arguments)


def samples(steps, views=2, unlabeled=True):
    rng = np.random.default_rng(0)
    images = rng.normal(size=[steps * BATCH, views, 4, 4, 1]).astype("float32")
    ids = rng.integers(0, CLASSES, steps * BATCH)
    if unlabeled:
        ids[::3] = -1
    return images, ids


def mixed(ids):
    one_hot = np.where(ids[:, None] < 0, 0, np.eye(CLASSES)[ids])
    other = np.where(ids[:, None] < 0, 0, np.eye(CLASSES)[(ids + 1) % CLASSES])
    return (0.7 * one_hot + 0.3 * other).astype("float32")


def batches(*arrays):
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    return dataset.batch(BATCH, drop_remainder=True)


def compiled(model, loss, **arguments):
    model.compile(keras.optimizers.SGD(RATE), loss=loss, **arguments)
    return model


def dense_weights(labels, other):
    """w_ij of rows with labels, without those of unlabeled samples' own keys."""
    if labels.ndim == 1:
        return 1.0 * (labels[:, None] == other) * (labels[:, None] != -1)
    unit = [y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-9) for y in (labels, other)]
    return unit[0] @ unit[1].T


class Naive:
    """The training in float64, with a dense loss, a list as the queue, and nothing shared."""

    def __init__(self, weights, contrast_count=False):
        self.weights = [tf.Variable(w, dtype="float64") for w in weights]
        self.momentum_weights = [w.numpy() for w in self.weights]
        self.queue, self.contrast_count = [], contrast_count

    @staticmethod
    def project(images, weights):
        hidden = tf.tanh(tf.reshape(tf.cast(images, "float64"), [len(images), -1]) @ weights[0])
        return tf.math.l2_normalize(hidden @ weights[1], axis=1)

    def loss(self, views, labels, keys):
        contrasts = np.array(list(keys) + [z for z, _ in self.queue])
        contrast_labels = np.array(list(labels) + [y for _, y in self.queue])
        w = dense_weights(labels, contrast_labels)
        own = np.eye(len(labels), len(contrasts))
        unlabeled = labels == -1 if labels.ndim == 1 else ~labels.any(axis=1)
        w = np.where(unlabeled[:, None], own, w)
        count = len(contrasts) if self.contrast_count else w.sum(1)
        total = 0
        for view in range(views.shape[1] - 1):
            s = self.project(views[:, view], self.weights) @ contrasts.T / TAU
            log_p = s - tf.reduce_logsumexp(s, axis=1, keepdims=True)
            total -= tf.reduce_mean(tf.reduce_sum(w * log_p, axis=1) / count)
        return total / (views.shape[1] - 1)

    def step(self, views, labels):
        keys = self.project(views[:, -1], self.momentum_weights).numpy()
        with tf.GradientTape() as tape:
            loss = self.loss(views, labels, keys)
        for weight, gradient in zip(self.weights, tape.gradient(loss, self.weights), strict=True):
            weight.assign_sub(RATE * gradient)
        self.momentum_weights = [
            MOMENTUM * k + (1 - MOMENTUM) * q.numpy()
            for k, q in zip(self.momentum_weights, self.weights, strict=True)
        ]
        self.queue = [*list(zip(keys, labels, strict=True)), *self.queue]
        self.queue = self.queue[:QUEUE]
        return float(loss)


def newest_first(model):
    """The batches of the model's queue, the newest first, as the naive list has them."""
    filled = int(model.queue.num_enqueued.numpy())
    order = []
    for last in range(filled, max(filled - QUEUE, 0), -BATCH):
        order += [place % QUEUE for place in range(last - BATCH, last)]
    return model.queue.embeddings.numpy()[order], model.queue.labels.numpy()[order]


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("kind", "views"),
    [("ids", 2), ("all unlabeled", 3), ("similarity_sum", 3), ("contrast_count", 2)],
)
def test_several_steps_against_the_naive_training(kind, views):
    images, labels = samples(steps=5, views=views)
    loss, num_classes = SupConLoss(TAU), None
    if kind == "all unlabeled":
        labels[:] = -1
    if kind in ("similarity_sum", "contrast_count"):
        loss, num_classes = GeneralizedSupConLoss(TAU, weighting=kind), CLASSES
        labels = mixed(labels)
    model = compiled(small_model(num_classes=num_classes), loss)
    naive = Naive([w.numpy() for w in model.trainable_variables], kind == "contrast_count")
    for step in range(5):  # the queue is full after three
        part = slice(BATCH * step, BATCH * (step + 1))
        expected = naive.step(images[part], labels[part])
        logs = model.train_on_batch(images[part], labels[part], return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
        model.reset_metrics()
        queue, queue_labels = newest_first(model)
        np.testing.assert_allclose(queue, [z for z, _ in naive.queue], atol=1e-5)
        np.testing.assert_array_equal(queue_labels, [y for _, y in naive.queue])
    for actual, expected in zip(model.trainable_variables, naive.weights, strict=True):
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), atol=1e-5)
    copies = model.momentum_encoder.weights + model.momentum_head.weights
    for actual, expected in zip(copies, naive.momentum_weights, strict=True):
        np.testing.assert_allclose(actual.numpy(), expected, atol=1e-5)
    # Evaluation compares with the queue too, and leaves everything as it is.
    before = model.get_weights()
    keys = naive.project(images[:BATCH, -1], naive.momentum_weights).numpy()
    expected = float(naive.loss(images[:BATCH], labels[:BATCH], keys))
    value = model.evaluate(batches(images[:BATCH], labels[:BATCH]), verbose=0)
    assert value == pytest.approx(expected, rel=1e-5)
    for actual, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.usefixtures("uncompiled")
def test_keys_with_several_labels_from_a_source():
    images, _ = samples(steps=1, views=1)
    labels = [[1, 0, 1], [0, 1, 1], [0, 0, 0], [1, 0, 0]]
    source = supcon_tf.data.TensorSource(images[:, 0], labels, ["a", "b", "c"])

    def noisy(image, seed):
        return image + tf.random.stateless_normal([4, 4, 1], seed)

    batches = supcon_tf.data.multi_view_batches(source, noisy, batch_size=BATCH, num_views=3)
    model = compiled(small_model(num_classes=CLASSES), GeneralizedSupConLoss(TAU))
    naive = Naive([w.numpy() for w in model.trainable_variables])
    history = model.fit(batches, epochs=2, verbose=0).history
    for epoch in range(2):  # the second one compares with the queue
        views, rows = next(iter(supcon_tf.data.batches_from_step(batches, epoch)))
        assert history["loss"][epoch] == pytest.approx(naive.step(views, rows.numpy()), rel=1e-5)
    np.testing.assert_array_equal(newest_first(model)[1][:BATCH], rows)


def test_metrics_see_anchors_and_keys():
    images, ids = samples(steps=1)
    model = small_model()
    model.compile(
        keras.optimizers.SGD(RATE), loss=SupConLoss(TAU), metrics=[supcon_tf.metrics.alignment]
    )
    anchors = keras.ops.convert_to_numpy(model(images[:, 0]))
    keys = keras.ops.convert_to_numpy(
        model._project(images[:, 1], model.momentum_encoder, model.momentum_head, training=False)
    )
    expected = ((anchors - keys) ** 2).sum(axis=1).mean()
    assert expected > 0.01
    logs = model.fit(batches(images, ids), verbose=0).history
    assert logs["alignment"] == pytest.approx([expected], rel=1e-5)


def train(**how):
    images, ids = samples(steps=6)
    keras.utils.set_random_seed(0)
    model = compiled(small_model(norm=True), SupConLoss(TAU), **how)
    assert np.isfinite(model.fit(batches(images, ids), verbose=0).history["loss"]).all()
    return model.get_weights()


@pytest.fixture(scope="module")
def eager_weights():
    return train(run_eagerly=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [{"jit_compile": True}, {"jit_compile": False, "steps_per_execution": 3}],
    ids=str,
)
def test_every_way_to_run_ends_the_same(eager_weights, arguments):
    for actual, expected in zip(train(**arguments), eager_weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    images, ids = samples(steps=3)
    model = compiled(small_model(norm=True), SupConLoss(TAU))
    assert np.isfinite(model.fit(batches(images, ids), verbose=0).history["loss"]).all()
    assert model.queue.embeddings.dtype == "float32"
    np.testing.assert_allclose(
        np.linalg.norm(model.queue.embeddings, axis=1), np.ones(QUEUE), rtol=1e-5
    )


@pytest.mark.usefixtures("uncompiled")
def test_the_momentum_encoder_keeps_its_own_moving_statistics():
    images, ids = samples(steps=1)
    model = compiled(small_model(norm=True), SupConLoss(TAU))
    hidden = model.momentum_encoder.layers[-2].output
    features = keras.Model(model.momentum_encoder.inputs, hidden)(images[:, -1])
    model.train_on_batch(images, ids)
    mean = model.momentum_encoder.layers[-1].moving_mean
    np.testing.assert_allclose(mean, 0.5 * np.mean(features, axis=0), atol=1e-6)
    assert np.abs(mean - model.encoder.layers[-1].moving_mean).max() > 1e-3


@pytest.mark.usefixtures("uncompiled")
def test_copies_follow_trained_weights_and_are_not_trained():
    images, ids = samples(steps=1)
    encoder = small_encoder()
    encoder.trainable = False
    model = MomentumSupConModel(
        encoder, supcon_tf.projection_head((3,)), queue_size=QUEUE, momentum=0.5
    )
    compiled(model, SupConLoss(TAU))
    assert len(model.trainable_variables) == 1
    frozen, head = encoder.get_weights()[0], model.projection_head.get_weights()[0]
    model.train_on_batch(images, ids)
    np.testing.assert_array_equal(model.momentum_encoder.get_weights()[0], frozen)
    moved = model.projection_head.get_weights()[0]
    assert np.abs(moved - head).max() > 1e-3
    np.testing.assert_allclose(model.momentum_head.get_weights()[0], (head + moved) / 2, atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_the_momentum_can_be_a_schedule(tmp_path):
    images, ids = samples(steps=3)
    # From 0.5 to 1 along a cosine, as in MoCo v3.
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 4, alpha=1 / 0.5)
    model = compiled(small_model(momentum=schedule), SupConLoss(TAU))
    for step in range(3):
        if step == 1:
            model.save(tmp_path / "model.keras")
            model = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        key = model.momentum_head.get_weights()[0]
        model.train_on_batch(*(x[step * BATCH : (step + 1) * BATCH] for x in (images, ids)))
        momentum = 1 - 0.5 * (1 + np.cos(np.pi * step / 4)) / 2
        expected = momentum * key + (1 - momentum) * model.projection_head.get_weights()[0]
        np.testing.assert_allclose(model.momentum_head.get_weights()[0], expected, atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_regularization_and_sample_weight_count_once():
    images, ids = samples(steps=1)
    inputs = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(inputs)
    encoder = keras.Model(inputs, keras.layers.Dense(4, kernel_regularizer="l2")(flat))
    model = compiled(MomentumSupConModel(encoder, queue_size=QUEUE), SupConLoss(TAU))
    weights = np.linspace(0, 2, BATCH).astype("float32")
    keys, queries = model(images[:, -1]), model(images[:, :-1])  # the copies are still equal
    contrastive = SupConLoss(TAU).contrast(
        queries, ids, keys, ids, ref_sample_ids=np.arange(BATCH), sample_weight=weights
    )
    expected = float(contrastive + tf.add_n(encoder.losses))
    logged = model.train_on_batch(images, ids, sample_weight=weights)
    assert logged == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_micro_batches_train_as_one_batch():
    images, ids = samples(steps=6)
    weights = []
    for micro_batch_size in (None, 2):
        keras.utils.set_random_seed(0)
        model = compiled(small_model(micro_batch_size=micro_batch_size), SupConLoss(TAU))
        model.fit(batches(images, ids), verbose=0)
        weights.append(model.get_weights())
    for actual, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_a_positives_cap_that_is_no_multiple_of_the_views():
    """Keras builds the loss before training, from anchors and keys and not from views alone."""
    images, ids = samples(steps=2)
    loss = SupConLoss(TAU, positives_cap=3)
    with pytest.raises(ValueError, match="`positives_cap` must be a multiple"):
        loss(ids[:BATCH], small_model()(images[:BATCH]))
    model = compiled(small_model(), loss)
    model.fit(batches(images, ids), verbose=0)
    projections = model(images)
    value = float(model.compute_loss(y=ids, y_pred=projections))
    keys = tf.concat([projections[:, 1], model.queue.embeddings[: len(ids)]], axis=0)
    sample_ids = np.concatenate([np.arange(len(ids)), np.full(len(ids), -1)])
    expected = loss.contrast(
        projections[:, :1], ids, keys, np.tile(ids, 2), ref_sample_ids=sample_ids
    )
    assert value == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_the_augmenter_creates_anchors_and_keys():
    images, ids = samples(steps=3, views=1)
    model = small_model(augmenter=keras.layers.GaussianNoise(0.5, seed=1), num_views=3)
    compiled(model, SupConLoss(TAU))
    data = batches(images[:, 0], ids)
    assert np.isfinite(model.fit(data, validation_data=data, verbose=0).history["val_loss"]).all()


@pytest.mark.usefixtures("uncompiled")
def test_labels_of_every_view():
    images, ids = samples(steps=1)
    labels = np.stack([mixed(ids), mixed((ids + 1) % CLASSES)], axis=1)
    model = compiled(small_model(num_classes=CLASSES), GeneralizedSupConLoss(TAU))
    expected = GeneralizedSupConLoss(TAU).contrast(
        model(images[:, 0]),
        labels[:, 0],
        model(images[:, 1]),
        labels[:, 1],
        ref_sample_ids=np.arange(BATCH),
    )
    assert model.train_on_batch(images, labels) == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_array_equal(model.queue.labels.numpy()[:BATCH], labels[:, 1])


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("num_classes", [None, CLASSES])
def test_save_and_load(tmp_path, num_classes):
    images, ids = samples(steps=2)
    loss = GeneralizedSupConLoss(TAU) if num_classes else SupConLoss(TAU)
    labels = mixed(ids) if num_classes else ids
    model = small_model(norm=True, num_classes=num_classes)
    model.compile(keras.optimizers.SGD(RATE, momentum=0.9), loss=loss)
    model.fit(batches(images, labels), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert (loaded.queue_size, loaded.momentum) == (QUEUE, MOMENTUM)
    assert loaded.num_classes == num_classes
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for each in (model, loaded):
        each.fit(batches(images, labels), verbose=0)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(model(images), loaded(images))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queue_size": 0}, "`queue_size`.*Received: 0"),
        ({"momentum": 1.0}, "`momentum`.*Received: 1.0"),
        ({"momentum": "0.9"}, "`momentum`.*Received: '0.9'"),
        ({"num_views": 1}, "`num_views`.*key.*Received: 1"),
        ({"num_classes": -3}, "`num_classes`.*Received: -3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small_model(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "mse"},
        {"loss": keras.losses.MeanSquaredError()},
        {"loss": SupConLoss(cross_replica=False)},
        {"loss": SupConLoss(), "loss_weights": 2.0},
        {},
    ],
    ids=["text", "keras", "replica", "weights", "none"],
)
def test_bad_losses(arguments):
    with pytest.raises(ValueError, match="`loss` must be a contrastive loss.*Received: loss="):
        small_model().compile("sgd", **arguments)


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize(
    ("arguments", "loss", "change", "message"),
    [
        ({"queue_size": 10}, SupConLoss(), {}, "`queue_size`.*queue_size=10, a global batch of 4"),
        ({}, SupConLoss(), {"views": slice(0, 1)}, r"`images`.*Received: 1 view"),
        ({}, SupConLoss(), {"views": 0}, r"`images`.*Received: 1 view"),
        ({"num_classes": 3}, SupConLoss(), {}, r"`num_classes`.*num_classes=3.*\(4,\)"),
        ({}, GeneralizedSupConLoss(), {"mix": True}, r"`num_classes`.*num_classes=None.*\(4, 3\)"),
        ({"num_classes": 4}, GeneralizedSupConLoss(), {"mix": True}, r"num_classes=4.*\(4, 3\)"),
        ({"micro_batch_size": 3}, SupConLoss(), {}, "`micro_batch_size` must divide"),
    ],
)
def test_bad_batches_change_nothing(arguments, loss, change, message, run_eagerly):
    images, ids = samples(steps=2)
    images = images[:, change.get("views", slice(None))]
    labels = mixed(ids) if "mix" in change else ids
    model = compiled(small_model(norm=True, **arguments), loss, run_eagerly=run_eagerly)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(batches(images, labels), verbose=0)
    for actual, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow
def test_batches_of_any_size_validate_and_do_not_train():
    images, ids = samples(steps=2)
    rest = tf.data.Dataset.from_tensor_slices((images[:7], ids[:7])).batch(5)
    model = compiled(small_model(), SupConLoss())
    with pytest.raises(ValueError, match="`queue_size`.*drop_remainder=True.*of an unknown size"):
        model.fit(images[:7], ids[:7], batch_size=BATCH, verbose=0)
    logs = model.fit(batches(images, ids), validation_data=rest, verbose=0).history
    expected = model.evaluate(images[:7], ids[:7], batch_size=5, verbose=0)
    np.testing.assert_allclose([*logs["val_loss"], model.evaluate(rest, verbose=0)], expected)
    with pytest.raises(ValueError, match="`queue_size` must be a multiple.*an unknown size"):
        model.fit(rest, verbose=0)
