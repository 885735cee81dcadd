import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import Distillation, GeneralizedSupConLoss, MixingLayer, SupConModel

CLASSES, INFINITE = 3, float("inf")


def data(samples=12):
    """Views, and labels that differ between them."""
    rng = np.random.default_rng(0)
    views = rng.normal(size=[samples, 2, 8, 8, 1]).astype("float32")
    return views, rng.dirichlet(np.ones(CLASSES), [samples, 2]).astype("float32")


def small_encoder(regularizer=None):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, strides=2, activation="tanh", kernel_regularizer=regularizer),
            keras.layers.Flatten(),
        ]
    )


def classifier(activation=None, classes=CLASSES):
    """A classifier with layers that behave differently in training."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes, activation=activation, kernel_regularizer="l2"),
        ]
    )


def small_model(distillation=None, regularizer=None, **arguments):
    model = SupConModel(
        small_encoder(regularizer),
        supcon_tf.projection_head((8,)),
        distillation=distillation or Distillation(classifier()),
        **arguments,
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=GeneralizedSupConLoss(0.5))
    return model


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def soft_targets(teacher, views, temperature=1.0, from_logits=True):
    """The soft targets of a teacher, from its weights in float64."""
    _, _, mean, variance = teacher.layers[1].get_weights()
    kernel, bias = teacher.layers[3].get_weights()
    flat = views.reshape(*views.shape[:2], -1).astype("float64")
    logits = (flat - mean) / np.sqrt(variance + 1e-3) @ kernel + bias
    if not from_logits:
        logits = np.log(softmax(logits))
    return softmax(logits / temperature)


def cross_entropy_model():
    return supcon_tf.CrossEntropyModel(small_encoder(), CLASSES)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("weight", "regularizer", "sample_weight"),
    [(0.3, "l2", np.linspace(0, 2, 12, dtype="float32")), (1, None, None), (INFINITE, "l2", None)],
    ids=["both terms, weighed", "both terms alike", "teacher only"],
)
def test_one_step_is_gradient_descent_on_the_sum_of_both_terms(weight, regularizer, sample_weight):
    views, labels = data()
    teacher = classifier()
    model = small_model(Distillation(teacher, weight=weight), regularizer)
    model.compile(keras.optimizers.SGD(0.1), loss=GeneralizedSupConLoss(0.5))
    assert len(model.trainable_variables) == 3
    targets = soft_targets(teacher, views)
    loss, kernel = GeneralizedSupConLoss(0.5), model.encoder.layers[0].kernel
    with tf.GradientTape() as tape:
        projections = model(views, training=True)
        second = loss(targets, projections, sample_weight)
        first = loss(labels, projections, sample_weight)
        total = second if weight == INFINITE else first + weight * second
        if regularizer:
            total += 0.01 * tf.reduce_sum(tf.square(kernel))
    gradients = tape.gradient(total, model.trainable_variables)
    before = [weight.numpy() for weight in model.trainable_variables]
    for logs in (
        model.evaluate(views, labels, 12, 0, sample_weight, return_dict=True),
        model.train_on_batch(views, labels, sample_weight, return_dict=True),
    ):
        assert sorted(logs) == ["distillation_loss", "loss"]
        assert logs["loss"] == pytest.approx(float(total), rel=1e-5)
        assert logs["distillation_loss"] == pytest.approx(float(second), rel=1e-5)
    for variable, old, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable, old - 0.1 * gradient, atol=1e-5)


def test_a_teacher_that_was_saved_frozen_is_frozen(tmp_path):
    frozen = cross_entropy_model()
    frozen.trainable = False
    frozen.save(tmp_path / "frozen.keras")
    model = small_model(Distillation(keras.saving.load_model(tmp_path / "frozen.keras")))
    of_teacher = {variable.path for variable in model.distillation.teacher.variables}
    assert not of_teacher & {variable.path for variable in model.trainable_variables}


@pytest.mark.slow
def test_micro_batches_train_as_the_whole_batch_and_the_teacher_stays_as_it_is():
    views, labels = data()
    weights = []
    for size in (None, 3):
        keras.utils.set_random_seed(0)
        model = small_model(Distillation(classifier(), weight=2.0), micro_batch_size=size)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, loss=GeneralizedSupConLoss(0.5), jit_compile=size is None)
        of_teacher = model.distillation.teacher.variables  # seeds included
        before = [variable.numpy() for variable in of_teacher]
        model.fit(tf.data.Dataset.from_tensors((views, labels)).repeat(3), verbose=0)
        for variable, old in zip(of_teacher, before, strict=True):
            np.testing.assert_array_equal(variable, old)
        weights.append(model.get_weights())
    for full, cached in zip(*weights, strict=True):
        np.testing.assert_allclose(cached, full, atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("returns_logits", [True, False])
@pytest.mark.parametrize(("declared", "temperature"), [(False, 0.5), (True, 4.0)])
def test_temperature_of_logits_and_of_probabilities(temperature, returns_logits, declared):
    views, labels = data()
    teacher = classifier(None if returns_logits else "softmax")
    from_logits = returns_logits if declared else "auto"
    model = small_model(Distillation(teacher, temperature=temperature, from_logits=from_logits))
    targets = soft_targets(teacher, views, temperature, returns_logits)
    expected = float(GeneralizedSupConLoss(0.5)(targets, model(views)))
    logs = model.evaluate(views, labels, batch_size=12, verbose=0, return_dict=True)
    assert logs["distillation_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_the_teacher_sees_the_mixed_views():
    views, _ = data()
    ids = np.arange(12) % CLASSES
    model = small_model(mixing=MixingLayer("cutmix", CLASSES, seed=2))
    mixed_views, mixed_labels = MixingLayer("cutmix", CLASSES, seed=2)(views, ids, training=True)
    loss, projections = GeneralizedSupConLoss(0.5), model(mixed_views)
    second = float(loss(soft_targets(model.distillation.teacher, mixed_views.numpy()), projections))
    first = float(loss(mixed_labels, projections))
    logs = model.train_on_batch(views, ids, return_dict=True)
    assert logs["distillation_loss"] == pytest.approx(second, rel=1e-5)
    assert logs["loss"] == pytest.approx(first + second, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "how"), [(0.5, "graph"), (INFINITE, "eager")])
def test_the_momentum_model_compares_soft_targets_of_anchors_and_keys(weight, how, request):
    if how == "eager":
        request.getfixturevalue("uncompiled")
    views, labels = data(18)
    keras.utils.set_random_seed(1)
    model = supcon_tf.MomentumSupConModel(
        small_encoder(),
        supcon_tf.projection_head((8,)),
        queue_size=12,
        num_classes=CLASSES,
        distillation=Distillation(classifier(), weight=weight),
        micro_batch_size=3 if how == "graph" else None,
    )
    loss = GeneralizedSupConLoss(0.5)
    model.compile(keras.optimizers.SGD(0.0), loss=loss)  # the weights stay
    all_targets = soft_targets(model.distillation.teacher, views).astype("float32")
    z = model(views)

    def expected(targets, now, queue):
        places = np.concatenate([now, queue])
        ids = np.concatenate([np.arange(len(now)), np.full(len(queue), -1)])
        anchors, keys = tf.gather(z[:, :1], now), tf.gather(z[:, 1], places)
        return float(
            loss.contrast(anchors, targets[now, :1], keys, targets[places, 1], ref_sample_ids=ids)
        )

    queue = np.arange(0)
    for step in range(3):  # the queue is empty, half full and full
        now = np.arange(6 * step, 6 * step + 6)
        second = expected(all_targets, now, queue)
        total = second
        if weight != INFINITE:
            total = expected(labels, now, queue) + weight * second
        logs = model.train_on_batch(views[now], labels[now], return_dict=True)
        assert logs["distillation_loss"] == pytest.approx(second, rel=1e-5)
        assert logs["loss"] == pytest.approx(total, rel=1e-5)
        model.reset_metrics()
        queue = np.concatenate([queue, now])
    newest = all_targets[[*range(12, 18), *range(6, 12)], 1]
    np.testing.assert_allclose(model.queue.soft_targets, newest, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_the_momentum_model_saves_soft_targets(tmp_path):
    views, labels = data()
    model = supcon_tf.MomentumSupConModel(
        small_encoder(),
        queue_size=12,
        num_classes=CLASSES,
        distillation=Distillation(classifier()),
        micro_batch_size=3,
    )
    model.compile("sgd", loss=GeneralizedSupConLoss())
    model.fit(tf.data.Dataset.from_tensors((views, labels)), verbose=0)
    np.testing.assert_allclose(
        model.queue.soft_targets, soft_targets(model.distillation.teacher, views)[:, 1], atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.queue.soft_targets, model.queue.soft_targets)
    assert [v.shape for v in loaded.trainable_variables] == [
        v.shape for v in model.trainable_variables
    ]


def test_the_queue_needs_to_know_the_classes_of_a_teacher():
    with pytest.raises(ValueError, match="`num_classes`.*Received: num_classes=None"):
        supcon_tf.MomentumSupConModel(small_encoder(), distillation=Distillation(classifier()))


def half_precision():
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(outputs))


def softmax_layer():
    return keras.Sequential([keras.Input((8, 8, 1)), *classifier().layers, keras.layers.Softmax()])


def nested(activation=None):
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, classifier(activation)(inputs))


@pytest.mark.parametrize(
    ("make", "from_logits"),
    [
        (classifier, True),
        (lambda: classifier("softmax"), False),
        (softmax_layer, False),
        (half_precision, True),
        (nested, True),
        (lambda: nested("softmax"), False),
        (cross_entropy_model, True),
    ],
    ids=["dense", "softmax", "softmax layer", "cast", "nested", "nested softmax", "ours"],
)
def test_auto_reads_the_last_activation(make, from_logits):
    assert Distillation(make()).from_logits is from_logits


def unclear_end():
    return keras.Sequential([keras.Input((8, 8, 1)), *classifier().layers, keras.layers.Dropout(0)])


def unbuilt():
    return keras.Sequential([keras.layers.Dense(CLASSES)])


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.classifier = classifier()

    def call(self, images):
        return self.classifier(images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier("sigmoid"), "`from_logits`.*a last activation sigmoid"),
        (unclear_end, "`from_logits`.*activation None"),
        (unbuilt, "`from_logits`.*activation None"),
        (Subclass, "`from_logits`.*activation None"),
    ],
    ids=["sigmoid", "dropout", "unbuilt", "subclass"],
)
def test_auto_refuses_another_last_activation(make, message):
    with pytest.raises(ValueError, match=message):
        Distillation(make())


@pytest.mark.usefixtures("uncompiled")
def test_a_subclass_whose_output_is_declared():
    views, labels = data()
    teacher = Subclass()
    model = small_model(Distillation(teacher, from_logits=True))
    targets = tf.nn.softmax([teacher(views[:, view]) for view in range(2)])
    expected = GeneralizedSupConLoss(0.5)(tf.transpose(targets, [1, 0, 2]), model(views))
    logs = model.evaluate(views, labels, batch_size=12, verbose=0, return_dict=True)
    assert logs["distillation_loss"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("weight", [0.5, INFINITE])
def test_save_and_load(tmp_path, weight):
    views, labels = data()
    model = small_model(Distillation(classifier("softmax"), weight=weight, temperature=2.0))
    model.fit(views, labels, verbose=0)
    config = json.loads(json.dumps(model.get_config()))
    assert SupConModel.from_config(config).distillation.weight == weight
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for name in ("weight", "temperature", "from_logits"):
        assert getattr(loaded.distillation, name) == getattr(model.distillation, name)
    assert len(loaded.trainable_variables) == 3
    histories = [each.fit(views, labels, verbose=0).history for each in (model, loaded)]
    assert histories[0] == histories[1]
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_a_dataset_with_a_smaller_last_batch():
    views, labels = data()
    model = small_model()
    batches = tf.data.Dataset.from_tensor_slices((views, labels)).batch(8)
    history = model.fit(batches, validation_data=batches, verbose=0).history
    assert sorted(history) == ["distillation_loss", "loss", "val_distillation_loss", "val_loss"]
    assert np.isfinite(list(history.values())).all()


@pytest.mark.usefixtures("uncompiled")
def test_single_views_and_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    views, labels = data()
    model = small_model()
    history = model.fit(views[:, 0], labels[:, 0], verbose=0).history
    assert np.isfinite(history["loss"]).all()


def two_headed():
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teacher": "resnet50"}, "`teacher` must be a Keras layer or model.*Received: resnet50"),
        ({"weight": 0}, "`weight`.*Received: 0"),
        ({"weight": float("nan")}, "`weight`.*Received: nan"),
        ({"weight": -INFINITE}, "`weight`.*Received: -inf"),
        ({"temperature": 0.0}, "`temperature`.*Received: 0.0"),
        ({"from_logits": "labels"}, "`from_logits` must be one of.*Received: 'labels'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Distillation(**{"teacher": classifier(), **arguments})


@pytest.mark.slow
def test_arguments_can_change_between_steps():
    """In every model that the distillation belongs to: one that trains, one that evaluates."""
    views, labels = data()
    keras.utils.set_random_seed(0)
    teacher = classifier()
    distillation, loss = Distillation(teacher), GeneralizedSupConLoss(0.5)
    models = [small_model(distillation), small_model(distillation)]
    batch = tf.data.Dataset.from_tensor_slices((views, labels)).batch(12)  # of unknown size
    models[0].compile(keras.optimizers.SGD(0.0), loss=loss)

    def assert_losses():
        targets = soft_targets(teacher, views, distillation.temperature)
        for model in models:
            projections = model(views)
            second = float(loss(targets, projections))
            expected = float(loss(labels, projections)) + distillation.weight * second
            if model is models[0]:
                history = model.fit(batch, verbose=0).history
                logs = {name: value for name, (value,) in history.items()}
            else:
                logs = model.evaluate(batch, verbose=0, return_dict=True)
            assert logs["loss"] == pytest.approx(expected, rel=1e-5)
            assert logs["distillation_loss"] == pytest.approx(second, rel=1e-5)

    assert_losses()
    for name, value in (("weight", 3.0), ("temperature", 4.0)):
        setattr(distillation, name, value)
        assert_losses()
        with pytest.raises(ValueError, match=f"`{name}` must be.*Received: 0"):
            setattr(distillation, name, 0)


@pytest.mark.usefixtures("uncompiled")
def test_the_metrics_of_a_compiled_teacher_are_its_own():
    views, labels = data()
    teacher = cross_entropy_model()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    teacher.compile("sgd", loss=loss, metrics=["accuracy"])
    teacher.fit(views[:, 0], labels[:, 0], verbose=0)
    before = teacher.get_metrics_result()
    model = small_model(Distillation(teacher))
    assert sorted(model.fit(views, labels, verbose=0).history) == ["distillation_loss", "loss"]
    assert teacher.get_metrics_result() == before


@pytest.mark.parametrize(
    ("teacher", "labels", "message"),
    [
        (lambda: classifier(classes=4), None, r"of `teacher`.*\(12, 2, 3\), a teacher of 4"),
        (classifier, np.arange(12) % 3, "label distributions.*class ids"),
        (two_headed, None, r"one output of shape \[batch, classes\]"),
        (lambda: keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3)]), None, "must be a classifier"),
    ],
    ids=["classes", "ids", "two outputs", "images"],
)  # fmt: skip
def test_bad_teachers(teacher, labels, message):
    views, distributions = data()
    model = small_model(Distillation(teacher(), from_logits=True))
    with pytest.raises(ValueError, match=message):
        model.fit(views, distributions if labels is None else labels, batch_size=12, verbose=0)


@pytest.mark.parametrize(
    "compiled",
    [
        {"loss": supcon_tf.SupConLoss()},
        {"loss": GeneralizedSupConLoss(), "loss_weights": 2.0},
    ],
    ids=["loss", "loss_weights"],
)
def test_the_loss_must_take_distributions(compiled):
    with pytest.raises(ValueError, match="`loss` must be a GeneralizedSupConLoss.*Received"):
        small_model().compile("sgd", **compiled)
