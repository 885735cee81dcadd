import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import JointSupConModel, SupConLoss, SupConModel


def small_encoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, strides=2),
            keras.layers.BatchNormalization(synchronized=True, momentum=0.5),
            keras.layers.Activation("tanh"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def views_and_ids(samples=12):
    rng = np.random.default_rng(0)
    ids = np.arange(samples) % 3
    views = rng.normal(size=[samples, 2, 8, 8, 1]) + ids[:, None, None, None, None]
    return views.astype("float32"), ids


def head():
    return supcon_tf.projection_head((8, 4))


def cross_entropy(logits, ids):
    logits = logits.astype("float64")
    logarithms = np.log(np.exp(logits).sum(-1, keepdims=True)) - logits
    return np.where(ids >= 0, logarithms[np.arange(len(ids)), ids], 0.0)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_encoder_and_head_train_as_without_the_classifier():
    views, ids = views_and_ids()
    models = [SupConModel(small_encoder(), head()), JointSupConModel(small_encoder(), 3, head())]
    models[1].encoder.set_weights(models[0].encoder.get_weights())
    models[1].projection_head.set_weights(models[0].projection_head.get_weights())
    for model in models:
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=SupConLoss())
        model.fit(views, ids, batch_size=6, epochs=3, shuffle=False, verbose=0)
    for part in ("encoder", "projection_head"):
        alone, jointly = (getattr(model, part).get_weights() for model in models)
        for expected, actual in zip(alone, jointly, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("unlabeled", [0, 5])
def test_a_step_of_the_classifier_by_hand(unlabeled):
    views, ids = views_and_ids()
    ids[:unlabeled] = -1
    model = JointSupConModel(small_encoder(), 3, head())
    model.compile(keras.optimizers.SGD(0.5), loss=SupConLoss())
    kernel, bias = model.classifier.get_weights()
    features = keras.ops.convert_to_numpy(model.encoder(views.reshape(24, 8, 8, 1), training=True))
    logits, row_ids = features @ kernel + bias, np.repeat(ids, 2)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    slopes = (softmax - np.eye(3)[row_ids]) * (row_ids >= 0)[:, None] / 24
    logs = model.train_on_batch(views, ids, return_dict=True)
    after_kernel, after_bias = model.classifier.get_weights()
    np.testing.assert_allclose(after_kernel, kernel - 0.5 * features.T @ slopes, atol=1e-5)
    np.testing.assert_allclose(after_bias, bias - 0.5 * slopes.sum(0), atol=1e-5)
    labeled = row_ids >= 0
    expected = cross_entropy(logits, row_ids)[labeled].mean()
    assert logs["classifier_loss"] == pytest.approx(expected, rel=1e-5)
    right = (logits.argmax(1) == row_ids)[labeled].mean()
    assert logs["classifier_accuracy"] == pytest.approx(right, rel=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_a_step_with_the_gradient_of_both_losses():
    views, ids = views_and_ids()
    model = JointSupConModel(small_encoder(), 3, head(), stop_gradient=False, classifier_weight=0.3)
    model.compile(keras.optimizers.SGD(0.5), loss=SupConLoss(0.2))
    twin = keras.models.clone_model(model.encoder)
    twin.set_weights(model.encoder.get_weights())
    with tf.GradientTape() as tape:
        representations = twin(views.reshape(24, 8, 8, 1), training=True)
        projections = tf.reshape(model.projection_head(representations), [12, 2, -1])
        log_softmax = tf.nn.log_softmax(model.classifier(representations))
        one_hot = tf.one_hot(np.repeat(ids, 2), 3)
        loss = SupConLoss(0.2)(ids, projections)
        loss -= 0.3 * tf.reduce_mean(tf.reduce_sum(one_hot * log_softmax, axis=1))
    gradients = tape.gradient(loss, twin.trainable_variables)
    model.train_on_batch(views, ids)
    for actual, before, gradient in zip(
        model.encoder.trainable_variables, twin.trainable_variables, gradients, strict=True
    ):
        np.testing.assert_allclose(actual, before - 0.5 * gradient, atol=1e-6)
    with pytest.raises(ValueError, match="`classifier_weight` must be.*Received: 0"):
        JointSupConModel(small_encoder(), 3, classifier_weight=0)


@pytest.mark.slow
def test_learns_to_classify_and_to_evaluate():
    views, ids = views_and_ids(48)
    model = JointSupConModel(small_encoder(), 3, head())
    model.compile(keras.optimizers.SGD(0.2, momentum=0.9), loss=SupConLoss())
    model.fit(views, ids, batch_size=24, epochs=30, verbose=0)
    logs = model.evaluate(views, np.eye(3)[ids], 24, verbose=0, return_dict=True)
    assert logs["classifier_accuracy"] > 0.9
    logits = keras.ops.convert_to_numpy(model.classify(views[:, 0]))
    assert np.mean(logits.argmax(1) == ids) > 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_save_and_load(tmp_path):
    views, ids = views_and_ids()
    model = JointSupConModel(small_encoder(), 3, head(), stop_gradient=False, classifier_weight=2)
    model.compile("sgd", loss=SupConLoss())
    model.fit(views, ids, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.classify(views), model.classify(views))
    np.testing.assert_array_equal(loaded(views), model(views))
    assert (loaded.stop_gradient, loaded.classifier_weight) == (False, 2)


@pytest.mark.slow
@pytest.mark.versions
def test_replicas_train_as_one(two_replicas):
    views, ids = views_and_ids(24)
    ids[::5] = -1
    data = tf.data.Dataset.from_tensor_slices((views, ids)).batch(12, drop_remainder=True)

    def train(run_eagerly):
        keras.utils.set_random_seed(0)
        model = JointSupConModel(
            small_encoder(), 3, head(), stop_gradient=False, classifier_weight=0.5
        )
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, loss=SupConLoss(), run_eagerly=run_eagerly)
        logs = model.fit(data, epochs=3, verbose=0).history
        return model.get_weights(), logs

    weights, logs = train(run_eagerly=True)
    with two_replicas.scope():
        replica_weights, replica_logs = train(run_eagerly=False)
    # Projections are float32 under every policy, and six steps let differences of rounding grow.
    for actual, expected in zip(replica_weights, weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)
    for name, values in logs.items():
        np.testing.assert_allclose(replica_logs[name], values, rtol=1e-4)


@pytest.mark.parametrize("num_classes", [1, 2.5])
def test_bad_number_of_classes(num_classes):
    with pytest.raises(ValueError, match="`num_classes` must be an integer of at least 2"):
        JointSupConModel(small_encoder(), num_classes)


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [0, 1, 2, -2]])
def test_class_ids_out_of_range(ids):
    model = JointSupConModel(small_encoder(), 3, head())
    model.compile("sgd", loss=SupConLoss(), run_eagerly=True)
    with pytest.raises(
        ValueError, match="Class ids must be at least -1.*`num_classes`=3.*Received"
    ):
        model.train_step((np.zeros([4, 2, 8, 8, 1], "float32"), np.array(ids)))


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("by_class", [True, False])
def test_weights_of_samples_and_classes(by_class):
    views, ids = views_and_ids()
    ids[0] = -1
    of_class = np.array([1.0, 3.0, 0.5])
    weights = np.where(ids >= 0, of_class[ids], 1.0)
    model = JointSupConModel(small_encoder(), 3, head())
    model.compile(keras.optimizers.SGD(0.5), loss=SupConLoss())
    kernel, bias = model.classifier.get_weights()
    features = keras.ops.convert_to_numpy(model.encoder(views.reshape(24, 8, 8, 1), training=True))
    logits, row_ids, rows = features @ kernel + bias, np.repeat(ids, 2), np.repeat(weights, 2)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    slopes = rows[:, None] * (softmax - np.eye(3)[row_ids]) * (row_ids >= 0)[:, None] / 24
    if by_class:
        given = {"class_weight": {-1: 1.0, **dict(enumerate(of_class))}}
    else:
        given = {"sample_weight": weights}
    logs = model.fit(views, ids, batch_size=12, shuffle=False, verbose=0, **given).history
    after_kernel, after_bias = model.classifier.get_weights()
    np.testing.assert_allclose(after_kernel, kernel - 0.5 * features.T @ slopes, atol=1e-5)
    np.testing.assert_allclose(after_bias, bias - 0.5 * slopes.sum(0), atol=1e-5)
    expected = (rows * cross_entropy(logits, row_ids))[row_ids >= 0].mean()
    assert logs["classifier_loss"] == [pytest.approx(expected, rel=1e-5)]
    tested = model.evaluate(views, ids, sample_weight=weights, verbose=0, return_dict=True)
    plain = model.evaluate(views, ids, verbose=0, return_dict=True)
    assert tested["classifier_loss"] != pytest.approx(plain["classifier_loss"], rel=1e-3)
    assert tested["classifier_accuracy"] == plain["classifier_accuracy"]
