import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import GeneralizedSupConLoss, MixingLayer, SupConModel

CLASSES = 3


def views_and_ids(samples=12):
    rng = np.random.default_rng(0)
    ids = np.arange(samples) % CLASSES
    views = rng.normal(size=[samples, 2, 8, 8, 1]) + ids[:, None, None, None, None]
    return views.astype("float32"), ids


def small_encoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, strides=2, activation="tanh"),
            keras.layers.Flatten(),
        ]
    )


def small_model(kind=SupConModel, layer=None, **arguments):
    layer = layer or MixingLayer("mixup_cutmix", CLASSES, seed=5)
    model = kind(small_encoder(), supcon_tf.projection_head((8,)), mixing=layer, **arguments)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=GeneralizedSupConLoss(0.5))
    return model


def test_the_layer_mixes_as_the_function_does_with_its_seeds():
    views, ids = views_and_ids()
    layer = MixingLayer("cutmix", CLASSES, alpha=0.7, per_sample=True, label_smoothing=0.3, seed=5)
    seeds = keras.random.SeedGenerator(5)
    rows = 0.7 * np.eye(CLASSES, dtype="float32")[ids] + 0.1
    mixing = supcon_tf.augmentation.Mixing("cutmix", 0.7, per_sample=True)
    for _ in range(2):
        expected = mixing(views, rows, tf.cast(seeds.next(), tf.int64))
        actual = layer(views, ids, training=True)
        for x, y in zip(actual, expected, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.parametrize("labels", ["ids", "column", "distributions"])
def test_outside_of_training_nothing_is_mixed_or_smoothed(labels):
    views, ids = views_and_ids()
    rows = np.eye(CLASSES)[ids]
    labels = {"ids": ids, "column": ids[:, None], "distributions": rows}[labels]
    same, given = MixingLayer("mixup", CLASSES, label_smoothing=0.3)(views, labels)
    np.testing.assert_array_equal(same, views)
    np.testing.assert_array_equal(given, np.repeat(rows[:, None], 2, axis=1))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_leaves_labels_and_views_as_they_are(policy):
    keras.config.set_dtype_policy(policy)
    views, ids = views_and_ids()
    mixed, labels = MixingLayer("mixup", CLASSES)(views, ids, training=True)
    assert (mixed.dtype, labels.dtype) == (tf.float32, tf.float32)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_one_step_is_gradient_descent_on_the_loss_of_mixed_views():
    views, ids = views_and_ids()
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), loss=GeneralizedSupConLoss(0.5))
    same_layer = MixingLayer("mixup_cutmix", CLASSES, seed=5)
    mixed_views, mixed_labels = same_layer(views, ids, training=True)
    with tf.GradientTape() as tape:
        value = GeneralizedSupConLoss(0.5)(mixed_labels, model(mixed_views, training=True))
    gradients = tape.gradient(value, model.trainable_variables)
    before = [weight.numpy() for weight in model.trainable_variables]
    logs = model.train_on_batch(views, ids, return_dict=True)
    assert logs["loss"] == pytest.approx(float(value), rel=1e-5)
    for weight, old, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(weight, old - 0.1 * gradient, atol=1e-5)
    plain = GeneralizedSupConLoss(0.5)(np.eye(CLASSES)[ids], model(views))
    assert model.evaluate(views, ids, batch_size=12, verbose=0) == pytest.approx(
        float(plain), rel=1e-5
    )


@pytest.mark.slow
def test_a_compiled_step():
    layer = MixingLayer("mixup_cutmix", CLASSES, per_sample=True, seed=5)
    model = small_model(layer=layer)
    model.compile("sgd", loss=GeneralizedSupConLoss(), jit_compile=True)
    batches = tf.data.Dataset.from_tensor_slices(views_and_ids()).batch(6)
    losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    np.testing.assert_array_equal(model.mixing.seed_generator.state, [5, 4])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["eager arrays", "a dataset and an augmenter in a graph"])
def test_fit_with_metrics_and_validation(how, request):
    seen = []

    def label_width(y_true, y_pred):
        seen.append(y_true.shape[1:])
        return tf.reduce_sum(y_true, axis=[1, 2])

    views, ids = views_and_ids()
    augmenter, given = None, {"x": views, "y": ids, "validation_data": (views, ids)}
    if how == "eager arrays":
        request.getfixturevalue("uncompiled")
    else:
        views, augmenter = views[:, 0], keras.layers.GaussianNoise(0.1)
        data = tf.data.Dataset.from_tensor_slices((views, ids)).batch(6, drop_remainder=True)
        given = {"x": data, "validation_data": data}
    model = small_model(augmenter=augmenter)
    model.compile("sgd", loss=GeneralizedSupConLoss(), metrics=[label_width])
    history = model.fit(**given, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    np.testing.assert_allclose(history["label_width"], 2, rtol=1e-5)
    assert set(seen) == {(2, CLASSES)}


@pytest.mark.slow
def test_micro_batches_mix_the_whole_batch():
    views, ids = views_and_ids()
    weights = []
    for size in (None, 4):
        keras.utils.set_random_seed(0)
        model = small_model(micro_batch_size=size)
        batches = tf.data.Dataset.from_tensors((views, ids)).repeat(3)
        model.fit(batches, verbose=0)
        weights.append(model.get_weights())
    for full, cached in zip(*weights, strict=True):
        np.testing.assert_allclose(cached, full, atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_anchors_and_keys_of_the_momentum_model_are_mixed():
    views, ids = views_and_ids()
    model = small_model(supcon_tf.MomentumSupConModel, queue_size=12, num_classes=CLASSES)
    mixed_views, mixed_labels = MixingLayer("mixup_cutmix", CLASSES, seed=5)(
        views, ids, training=True
    )
    keys = model(mixed_views[:, 1])  # the momentum encoder has the same weights
    expected = model.loss.contrast(
        model(mixed_views[:, :1]),
        mixed_labels[:, :1],
        keys,
        mixed_labels[:, 1],
        ref_sample_ids=range(12),
    )
    loss = model.train_on_batch(views, ids)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(model.queue.embeddings, keys, atol=1e-5)
    np.testing.assert_allclose(model.queue.labels, mixed_labels[:, 1], atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_the_state_of_the_seed_is_saved(tmp_path):
    views, ids = views_and_ids()
    layer = MixingLayer("mixup", CLASSES, alpha=0.3, per_sample=True, label_smoothing=0.1)
    model = small_model(layer=layer)
    model.fit(views, ids, batch_size=6, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.mixing.get_config() == model.mixing.get_config()
    np.testing.assert_array_equal(
        loaded.mixing.seed_generator.state, model.mixing.seed_generator.state
    )
    for each in (model, loaded):
        each.fit(views, ids, batch_size=6, shuffle=False, verbose=0)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "blend"}, "`kind`.*Received: 'blend'"),
        ({"alpha": 0}, "`alpha`.*Received: 0"),
        ({"num_classes": 1}, "`num_classes`.*Received: 1"),
        ({"label_smoothing": 1}, "`label_smoothing`.*Received: 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MixingLayer(**{"kind": "mixup", "num_classes": CLASSES, **arguments})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(12), "Class ids must be at least -1.*Received: .*11"),
        (-np.ones([12, CLASSES]), "not negative"),
        (np.ones([12, 5]), r"shape=\(12, 5\), num_classes=3"),
        (np.ones(12), "must be integers"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        MixingLayer("mixup", CLASSES)(views_and_ids()[0], labels, training=True)


@pytest.mark.slow
def test_the_first_batch_of_fit_finds_bad_values():
    views, ids = views_and_ids()
    with pytest.raises(tf.errors.InvalidArgumentError, match="below `num_classes`=3"):
        small_model().fit(views, ids + 1, verbose=0)


def test_mixed_labels_are_no_class_ids():
    views, ids = views_and_ids()
    model = small_model()
    model.compile("sgd", loss=supcon_tf.SupConLoss())
    with pytest.raises(ValueError, match="use GeneralizedSupConLoss.*2, 3"):
        model.fit(views, ids, verbose=0)


BARE = supcon_tf.augmentation.Mixing("mixup_cutmix", 0.7, per_sample=True)


@pytest.mark.usefixtures("uncompiled")
def test_a_mixing_takes_the_number_of_classes_from_label_distributions():
    views, ids = views_and_ids()
    layer = MixingLayer("mixup_cutmix", CLASSES, alpha=0.7, per_sample=True)
    models = small_model(layer=layer), small_model(layer=BARE)
    models[1].set_weights(models[0].get_weights())
    models[1].mixing.seed_generator.state.assign(layer.seed_generator.state)
    for model in models:
        model.fit(views, np.eye(CLASSES)[ids], batch_size=6, shuffle=False, verbose=0)
    for expected, actual in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_mixing_is_saved_as_a_layer():
    mixing = small_model(layer=BARE).get_config()["mixing"]
    layer = keras.saving.deserialize_keras_object(mixing)
    assert (layer.mixing, layer.num_classes) == (BARE, None)


@pytest.mark.parametrize("labels", ["ids", "column", "none"])
def test_a_mixing_takes_no_class_ids(labels):
    views, ids = views_and_ids()
    labels = {"ids": (ids,), "column": (ids[:, None],), "none": ()}[labels]
    match = r"`supcon_tf.MixingLayer\(kind, num_classes=...\)`.*Received: shape=\((12|None)"
    with pytest.raises(ValueError, match=match):
        small_model(layer=BARE).fit(views, *labels, batch_size=12, verbose=0)
