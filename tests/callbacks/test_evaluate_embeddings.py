import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

import supcon_tf
from supcon_tf import evaluation
from supcon_tf.callbacks import EvaluateEmbeddings

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 4
IMAGES = (RNG.normal(size=[4, 5])[LABELS] + RNG.normal(size=[48, 5])).astype("float32")
TRAIN, TEST = (IMAGES[:21], LABELS[:21]), (IMAGES[21:], LABELS[21:])
VIEWS = np.stack([IMAGES, IMAGES + 0.1], axis=1)
NAMES = ["val_knn_accuracy", "val_map_at_r", "val_recall_at_1"]


def make_encoder(dtype=None, synchronized=False):
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(6, dtype=dtype),
            keras.layers.BatchNormalization(dtype=dtype, synchronized=synchronized),
            keras.layers.Dropout(0.3, dtype=dtype),
        ]
    )


def make_model(kind=supcon_tf.SupConModel, encoder=None, learning_rate=0.1, **arguments):
    keras.utils.set_random_seed(0)
    model = kind(encoder or make_encoder(), **arguments)
    model.compile(keras.optimizers.SGD(learning_rate), supcon_tf.SupConLoss())
    return model


def fit(model, *callbacks, epochs=2, **arguments):
    dataset = tf.data.Dataset.from_tensor_slices((VIEWS, LABELS)).batch(24, drop_remainder=True)
    return model.fit(dataset, epochs=epochs, callbacks=list(callbacks), verbose=0, **arguments)


def values_of(encoder, k=200):
    train, test = (encoder.predict(images, verbose=0) for images, _ in (TRAIN, TEST))
    return {
        "val_knn_accuracy": evaluation.knn_accuracy(train, TRAIN[1], test, TEST[1], k=min(k, 21)),
        "val_recall_at_1": evaluation.recall_at_k(test, TEST[1]),
        "val_map_at_r": evaluation.map_at_r(test, TEST[1]),
    }


def last(history):
    return {name: values[-1] for name, values in history.history.items() if name in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (supcon_tf.SupConModel, {}),
        (supcon_tf.MomentumSupConModel, {"queue_size": 24}),
        (supcon_tf.JointSupConModel, {"num_classes": 4}),
    ],
)
def test_logs_what_the_trained_encoder_has(kind, arguments):
    check_logs(make_model(kind, **arguments))


def test_logs_of_an_encoder_in_mixed_precision():
    check_logs(make_model(encoder=make_encoder("mixed_float16")))


def check_logs(model):
    history = fit(model, EvaluateEmbeddings(TRAIN, TEST, batch_size=8))
    expected = values_of(model.encoder)
    assert last(history) == pytest.approx(expected, abs=1e-6)
    assert history.history["val_map_at_r"][0] != expected["val_map_at_r"]


def test_any_model_of_keras_is_an_encoder():
    model = make_encoder()
    model.compile("sgd", supcon_tf.SupConLoss())
    callback = EvaluateEmbeddings(TRAIN, TEST)
    history = model.fit(IMAGES, LABELS, epochs=1, callbacks=[callback], verbose=0)
    assert last(history) == pytest.approx(values_of(model), abs=1e-6)


def test_datasets_and_chosen_metrics():
    model = make_model()
    sets = [tf.data.Dataset.from_tensor_slices(part).batch(10) for part in (TRAIN, TEST)]
    callback = EvaluateEmbeddings(*sets, k=3, metrics=["recall", "mrr"], ks=[2])
    logs = fit(model, callback, epochs=1).history
    assert sorted(logs) == ["loss", "val_knn_accuracy", "val_mrr", "val_recall_at_2"]
    assert logs["val_knn_accuracy"] == [values_of(model.encoder, k=3)["val_knn_accuracy"]]


@pytest.mark.slow
def test_under_a_strategy(two_replicas):
    with two_replicas.scope():
        model = make_model(encoder=make_encoder(synchronized=True))
    # Three batches of each set for two replicas; the last ones are smaller.
    history = fit(model, EvaluateEmbeddings(TRAIN, TEST, batch_size=10))
    trained = make_encoder()
    trained.set_weights(model.encoder.get_weights())
    assert last(history) == pytest.approx(values_of(trained), abs=1e-6)


def test_does_not_change_the_training():
    weights = []
    for callbacks in ([], [EvaluateEmbeddings(TRAIN, TEST)]):
        model = make_model()
        fit(model, *callbacks)
        weights.append(model.get_weights())
    for without, with_callback in zip(*weights, strict=True):
        np.testing.assert_array_equal(without, with_callback)


def test_later_callbacks_follow_the_values(tmp_path):
    model = make_model(learning_rate=0.0)
    model.encoder.layers[1].momentum = 1.0  # The representations stay the same.
    history = fit(
        model,
        EvaluateEmbeddings(TRAIN, TEST),
        keras.callbacks.EarlyStopping("val_knn_accuracy", mode="max", patience=1),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5",
            monitor="val_recall_at_1",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(tmp_path / "logs.csv"),
        epochs=5,
    )
    assert history.epoch == [0, 1]
    assert (tmp_path / "best.weights.h5").exists()
    first, _ = csv.DictReader((tmp_path / "logs.csv").read_text().splitlines())
    assert float(first["val_map_at_r"]) == pytest.approx(history.history["val_map_at_r"][0])


def test_epochs_are_counted_over_the_whole_training():
    epochs = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch) if NAMES[0] in logs else None
    )
    fit(make_model(), EvaluateEmbeddings(TRAIN, TEST, 3), watch, epochs=7, initial_epoch=1)
    assert epochs == [2, 5]


def test_bad_arguments():
    endless = tf.data.Dataset.from_tensors(TRAIN).repeat()
    for arguments, options, message in (
        ((TRAIN, TEST), {"every": 0}, "`every` must be.*Received: 0"),
        ((TRAIN, TEST), {"k": 0}, "`k` must be.*Received: 0"),
        ((TRAIN, TEST), {"ks": [0]}, "`ks` must be.*Received: 0"),
        ((TRAIN, TEST), {"batch_size": 0}, "`batch_size` must be.*Received: 0"),
        ((TRAIN, TEST), {"metrics": ["f1"]}, "`metrics` must be one of.*'f1'"),
        ((IMAGES, TEST), {}, r"`train` must be `\(images, labels\)` or a dataset.*ndarray"),
        ((TRAIN, (IMAGES, LABELS - 1)), {}, r"`test\[1\]` must not contain -1"),
        ((TRAIN, (IMAGES, LABELS[:5])), {}, r"`test\[1\]` must be integer class ids"),
        ((endless, TEST), {}, "`train` must be a finite dataset.*cardinality=-1"),
        ((TRAIN, tf.data.Dataset.from_tensors(IMAGES)), {}, "`test` must be a finite dataset"),
    ):
        with pytest.raises(ValueError, match=message):
            EvaluateEmbeddings(*arguments, **options)
