import keras
import numpy as np
import pytest

import supcon_tf
from supcon_tf import SupConLoss

RNG = np.random.default_rng(0)
VIEWS = RNG.normal(size=[8, 2, 6]).astype("float32")
IDS = np.arange(8) % 4


def dense(width=6):
    return keras.Sequential([keras.Input([6]), keras.layers.Dense(width)])


MODELS = {
    "supcon": lambda: supcon_tf.SupConModel(dense()),
    "micro-batches": lambda: supcon_tf.SupConModel(dense(), micro_batch_size=4),
    "joint": lambda: supcon_tf.JointSupConModel(dense(), 4),
    "momentum": lambda: supcon_tf.MomentumSupConModel(dense(), queue_size=8),
    "distilled": lambda: supcon_tf.MomentumSupConModel(
        dense(), queue_size=8, num_classes=4, distillation=supcon_tf.Distillation(dense(4))
    ),
    "cross-entropy": lambda: supcon_tf.CrossEntropyModel(dense(), 4),
    "linear": lambda: supcon_tf.LinearClassifier(dense(), 4),
    "averaged": lambda: supcon_tf.AveragedCrossEntropyModel(dense(), 4),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_can_be_frozen_and_unfrozen(name, uncompiled):
    model = MODELS[name]()
    trainable = [weight.path for weight in model.trainable_weights]
    loss, x, y = SupConLoss(), VIEWS, IDS
    if name == "distilled":
        loss, y = supcon_tf.GeneralizedSupConLoss(), np.eye(4)[IDS]
    elif name in ("cross-entropy", "linear", "averaged"):
        loss, x = keras.losses.SparseCategoricalCrossentropy(from_logits=True), VIEWS[:, 0]
    before = [weight.numpy() for weight in model.trainable_weights]
    model.trainable = False
    assert not model.trainable_weights
    model.compile("sgd", loss=loss)
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        model.fit(x, y, verbose=0)
    # Frozen parts, teachers and copies, stay frozen.
    model.trainable = True
    assert [weight.path for weight in model.trainable_weights] == trainable
    for weight, old in zip(model.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "averaged"])
def test_momentum_can_be_set_during_training(name):
    model = MODELS[name]()
    model.momentum = 1 - 1e-9
    if name == "momentum":
        loss, x, copy = SupConLoss(), VIEWS, model.momentum_encoder
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        x, copy = VIEWS[:, 0], model.average.encoder
    kernels = []

    def end_epoch(epoch, logs):
        kernels.append((copy.get_weights()[0], model.encoder.get_weights()[0]))
        model.momentum = 0.0

    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)
    model.fit(x, IDS, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert model.get_config()["momentum"] == 0
    (_, _), (average, encoder) = kernels
    np.testing.assert_array_equal(average, encoder)
    with pytest.raises(ValueError, match="`momentum` must be"):
        model.momentum = 1.0
