import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import SupConLoss, SupConModel
from supcon_tf.metrics import HEALTH


def small_encoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, strides=2),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.GlobalMaxPooling2D(),
        ]
    )


def small_model(**arguments):
    return SupConModel(small_encoder(), supcon_tf.projection_head((16, 8)), **arguments)


def striped_images(samples, views=2):
    """Images whose class is the position of a bright row, with noise in every view."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, size=samples)
    images = 0.2 * rng.random([samples, views, 8, 8, 1])
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 1] += 0.8
    return images.astype("float32"), labels


@pytest.mark.gpu
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_projections_are_float32_unit_vectors(policy):
    keras.config.set_dtype_policy(policy)
    images, _ = striped_images(4)
    projections = small_model()(images)
    assert projections.shape == (4, 2, 8)
    assert projections.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(projections, axis=-1), np.ones([4, 2]), rtol=1e-6)


def test_views_are_projected_like_single_images():
    images, _ = striped_images(4, views=3)
    model = small_model()
    together = model(images)
    for view in range(3):
        np.testing.assert_allclose(together[:, view], model(images[:, view]), atol=1e-6)


def test_encode_returns_the_output_of_the_encoder():
    images, _ = striped_images(4)
    model = small_model()
    expected = model.encoder(images[:, 1], training=False)
    np.testing.assert_allclose(model.encode(images)[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(model.encode(images[:, 1]), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.versions
@pytest.mark.parametrize(
    ("how", "policy"),
    [
        ("eager", "float32"),
        ("graph", "mixed_bfloat16"),
        ("jit", "mixed_float16"),  # with the scaling of the loss
    ],
)
def test_fit_pulls_classes_together(how, policy):
    keras.config.set_dtype_policy(policy)
    images, labels = striped_images(48)
    model = small_model()
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        loss=SupConLoss(),
        metrics=HEALTH if how == "jit" else None,
        run_eagerly=how == "eager",
        jit_compile=how == "jit",
    )
    history = model.fit(images, labels, batch_size=16, epochs=3, verbose=0).history
    metrics = [metric.__name__ for metric in HEALTH] if how == "jit" else []
    assert set(history) == {"loss", *metrics}
    assert np.isfinite([*history.values()]).all()
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
def test_one_step_is_gradient_descent_on_the_loss():
    images, labels = striped_images(8)
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), loss=SupConLoss(0.5))
    before = [tf.identity(weight) for weight in model.trainable_variables]
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    with tf.GradientTape() as tape:
        value = SupConLoss(0.5)(labels, copy(images, training=True))
    gradients = tape.gradient(value, copy.trainable_variables)
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(float(value), rel=1e-5)
    for weight, old, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(weight, old - 0.1 * gradient, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_default_head():
    model = SupConModel(small_encoder())
    assert [layer.units for layer in model.projection_head.layers[::2]] == [16, 128]
    model.compile("sgd", loss=SupConLoss())
    images, labels = striped_images(4)
    assert model(images).shape == (4, 2, 128)
    assert np.isfinite(model.fit(images, labels, verbose=0).history["loss"]).all()


@pytest.mark.slow
def test_the_augmenter_creates_the_views():
    model = small_model(augmenter=keras.layers.GaussianNoise(0.5, seed=1), num_views=3)
    images, labels = striped_images(8, views=1)
    images = images[:, 0]
    views = model._make_views(tf.constant(images))
    assert views.shape == (8, 3, 8, 8, 1)
    assert np.abs(views[:, 0] - views[:, 1]).mean() > 0.1
    np.testing.assert_array_equal(model._make_views(views), views)
    model.compile("sgd", loss=SupConLoss())
    history = model.fit(images, labels, validation_data=(images, labels), verbose=0).history
    # Without views, a batch of one label per row of 8 would have another collapse value.
    assert np.isfinite(history["loss"] + history["val_loss"]).all()


ENCODERS = {
    "rows": (
        [keras.Input((5,)), keras.layers.Dense(4)],
        np.random.default_rng(0).normal(size=[6, 5]),
    ),
    "tokens": (
        [
            keras.Input((7,), dtype="int32"),
            keras.layers.Embedding(9, 4),
            keras.layers.GlobalAveragePooling1D(),
        ],
        np.random.default_rng(0).integers(0, 9, size=[6, 7]),
    ),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.usefixtures("uncompiled")
def test_encoders_of_rows_and_of_tokens(kind):
    layers, samples = ENCODERS[kind]
    encoder = keras.Sequential(layers)
    model = SupConModel(encoder, supcon_tf.projection_head((8,)))
    views = np.stack([samples, samples[::-1]], axis=1)
    projections = model(views)
    assert projections.shape == (6, 2, 8)
    np.testing.assert_allclose(projections[:, 1], model(samples[::-1]), atol=1e-6)
    np.testing.assert_allclose(model.encode(views)[:, 0], encoder(samples), atol=1e-6)
    model.compile("sgd", loss=SupConLoss())
    labels = np.arange(6) % 2
    expected = float(SupConLoss()(labels, projections))
    assert model.evaluate(views, labels, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_an_augmenter_of_rows():
    encoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    model = SupConModel(encoder, augmenter=keras.layers.GaussianNoise(0.5, seed=1))
    model.compile("sgd", loss=SupConLoss())
    rows = np.random.default_rng(0).normal(size=[6, 5]).astype("float32")
    views = model._make_views(tf.constant(rows))
    assert views.shape == (6, 2, 5)
    assert np.abs(views[:, 0] - views[:, 1]).mean() > 0.1
    # Each row is of a class of its own: single views would have no positives, and loss 0.
    assert model.fit(rows, np.arange(6), verbose=0).history["loss"][0] > 0.1


@pytest.mark.usefixtures("uncompiled")
def test_images_without_an_augmenter_are_single_views():
    images, labels = striped_images(6, views=1)
    model = small_model()
    model.compile("sgd", loss=SupConLoss())
    value = model.evaluate(images[:, 0], labels, verbose=0)
    assert value == pytest.approx(float(SupConLoss()(labels, model(images[:, 0]))), rel=1e-5)


@pytest.mark.slow
@pytest.mark.versions
def test_evaluate_validation_metrics_callbacks_and_sample_weight():
    class Epochs(keras.callbacks.Callback):
        seen = ()

        def on_epoch_end(self, epoch, logs=None):
            self.seen += (sorted(logs),)

    def first_coordinate(y_true, y_pred):
        return y_pred[..., 0]

    images, labels = striped_images(16)
    weights = np.linspace(0, 1, 16).astype("float32")
    epochs = Epochs()
    model = small_model()
    model.compile("sgd", loss=SupConLoss(), metrics=[first_coordinate])
    model.fit(
        images,
        labels,
        sample_weight=weights,
        validation_data=(images, labels, weights),
        epochs=2,
        batch_size=16,
        callbacks=[epochs],
        verbose=0,
    )
    names = ["first_coordinate", "loss", "val_first_coordinate", "val_loss"]
    assert epochs.seen == (names, names)
    logs = model.evaluate(
        images, labels, sample_weight=weights, batch_size=16, verbose=0, return_dict=True
    )
    projections = model(images)
    expected = SupConLoss()(labels, projections, sample_weight=weights)
    assert logs["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert logs["first_coordinate"] == pytest.approx(
        float(tf.reduce_mean(projections[..., 0])), rel=1e-4
    )


@pytest.mark.slow
def test_batches_of_several_sizes():
    images, labels = striped_images(20)  # batches of 16 and 4
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    model = small_model()
    model.compile("sgd", loss=SupConLoss())
    parts = [(16, slice(0, 16)), (4, slice(16, 20))]
    expected = sum(n * SupConLoss()(labels[part], model(images[part])) for n, part in parts) / 20
    logged = model.evaluate(images, labels, batch_size=16, verbose=0)
    # The logged loss is the mean over samples.
    assert logged == pytest.approx(float(expected), rel=1e-5)
    assert np.isfinite(model.fit(dataset, verbose=0).history["loss"]).all()
    assert model.predict(dataset, verbose=0).shape == (20, 2, 8)


@pytest.mark.usefixtures("uncompiled")
def test_regularization_losses_count():
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(inputs)
    encoder = keras.Model(inputs, keras.layers.Dense(4, kernel_regularizer="l2")(flat))
    model = SupConModel(encoder)
    model.compile("sgd", loss=SupConLoss())
    images, labels = striped_images(6)
    penalty = float(tf.add_n(encoder.losses))
    assert penalty > 0
    expected = float(SupConLoss()(labels, model(images))) + penalty
    assert model.evaluate(images, labels, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.versions
@pytest.mark.parametrize("augmenter", [None, keras.layers.GaussianNoise(0.1)])
@pytest.mark.usefixtures("uncompiled")
def test_save_and_load(tmp_path, augmenter):
    images, labels = striped_images(8)
    num_views = 2 if augmenter is None else 3
    model = small_model(augmenter=augmenter, num_views=num_views)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=SupConLoss(0.2))
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.num_views == num_views
    assert type(loaded.augmenter) is type(augmenter)
    # The optimizer's state is there too: one more step ends with the same weights.
    for each in (model, loaded):
        each.fit(images, labels, verbose=0)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def unpooled_encoder():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))


def two_headed_encoder():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)])


def named_encoder():
    inputs = keras.Input((4,))
    return keras.Model(inputs, {"rows": keras.layers.Dense(2)(inputs)})


def head(width, layer):
    return keras.Sequential([keras.Input((width,)), layer])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SupConModel(unpooled_encoder()), r"`encoder`.*\[batch, dim\].*6, 6, 4"),
        (lambda: SupConModel(two_headed_encoder()), r"`encoder`.*\[batch, dim\]"),
        (lambda: SupConModel(keras.Sequential([keras.layers.Dense(2)])), "`encoder` must be built"),
        (lambda: SupConModel("resnet50"), "`encoder` must be a Keras model.*Received: 'resnet50'"),
        (lambda: SupConModel(small_model()), "`encoder`.*For a trained SupConModel, pass its"),
        (lambda: SupConModel(named_encoder()), r"`encoder` must return one tensor.*\['rows'\]"),
        (
            lambda: SupConModel(small_encoder(), head(7, keras.layers.Dense(2))),
            r"`projection_head` must take .*\[batch, 16\].*input_shape=\(None, 7\)",
        ),
        (
            lambda: SupConModel(small_encoder(), head(16, keras.layers.Reshape((4, 4)))),
            r"`projection_head` must return .*\[batch, dim\].*output_shape=\(None, 4, 4\)",
        ),
        (lambda: SupConModel(small_encoder(), 128), "`projection_head` must be.*Received: 128"),
        (
            lambda: small_model(augmenter=supcon_tf.augmentation.crop_flip(8)),
            "`augmenter` must be a Keras layer.*multi_view_batches.*Received: Compose",
        ),
        (lambda: small_model(mixing="mixup"), "`mixing`.*augmentation.Mixing`.*Received: mixup"),
        (
            lambda: small_model(distillation=small_encoder()),
            r"`distillation` must be a `supcon_tf.Distillation\(teacher\)`.*Received: <Sequential",
        ),
        (lambda: small_model().compile("sgd", "mse"), "`loss`.*loss object.*Received: loss='mse'"),
        (
            lambda: small_model().compile("sgd", [SupConLoss(), keras.losses.BinaryCrossentropy()]),
            "For a classifier beside it, use `JointSupConModel`",
        ),
        (
            lambda: small_model().compile("sgd", keras.losses.CategoricalCrossentropy),
            "contrastive loss object",
        ),
        (
            lambda: small_model().compile(
                "sgd", SupConLoss(), metrics=[keras.metrics.SparseCategoricalAccuracy()]
            ),
            "`metrics` must take labels and projections",
        ),
        (
            lambda: small_model().compile("sgd", SupConLoss(), metrics=["accuracy"]),
            "`metrics` must take labels and projections.*JointSupConModel.*Received: .*'accuracy'",
        ),
        (
            lambda: small_model().fit(tf.data.Dataset.from_tensors((np.zeros([2, 8, 8, 1]), [0]))),
            "must be compiled first",
        ),
        (
            lambda: small_model()._project((np.zeros([2, 8, 8, 1]),) * 2, None, None, False),
            "one array.*tf.stack.*Received: a tuple of 2",
        ),
        (lambda: small_model(num_views=0), "`num_views`.*Received: 0"),
        (lambda: small_model()(np.zeros([8, 8, 1])), r"`images`.*shape=\(8, 8, 1\)"),
        (lambda: small_model()(np.zeros([1, 1, 2, 8, 8, 1])), r"`images`.*shape=\(1, 1, 2, 8"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_encoder_that_ends_in_a_softmax():
    with pytest.warns(UserWarning, match="ends in a softmax.*include_top=False") as warnings:
        SupConModel(head(4, keras.layers.Dense(3, activation="softmax")))
    assert warnings[0].filename == __file__
