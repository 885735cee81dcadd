import math
import warnings

import keras
import numpy as np
import pytest

import supcon_tf
from supcon_tf.callbacks import CollapseWarning


def epochs_of(loss, *, spread, epochs=4, **arguments):
    """Epochs that end with the loss of projections that are all equal, or that are spread."""
    encoder = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    model = supcon_tf.SupConModel(encoder, keras.layers.Identity())
    model.compile(loss=loss)
    rng = np.random.default_rng(0)
    images = rng.normal(size=[6, 2, 1, 1, 3]) if spread else np.ones([6, 2, 1, 1, 3])
    logs = model.evaluate(images, np.arange(6), return_dict=True, verbose=0)
    callback = CollapseWarning(2 * 6 - 1, **arguments)
    callback.set_model(model)
    for epoch in range(epochs):
        callback.on_epoch_end(epoch, logs)


@pytest.mark.parametrize("base_temperature", [None, 0.07, 1.0])
def test_warns_at_the_collapse_value(base_temperature):
    loss = supcon_tf.SupConLoss(0.1, base_temperature=base_temperature)
    value = math.log(11) * (1 if base_temperature is None else 0.1 / base_temperature)
    with pytest.warns(UserWarning, match=f"For 3 epochs the loss has stayed at {value:.4g}"):
        epochs_of(loss, spread=False)


@pytest.mark.parametrize(
    "arguments",
    [{"spread": True}, {"spread": False, "epochs": 2}, {"spread": False, "patience": 9}],
)
def test_does_not_warn_otherwise(arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epochs_of(supcon_tf.SupConLoss(), **arguments)


def test_another_fit_starts_to_count_anew():
    """Two epochs of one fit and two of the next are not four of one."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=lambda y, outputs: 0.0 * outputs + math.log(11))
    callback = CollapseWarning(11)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for _ in range(2):
            model.fit(np.ones([2, 1]), np.ones([2, 1]), epochs=2, callbacks=[callback], verbose=0)
    with pytest.warns(UserWarning, match="For 3 epochs the loss has stayed at"):
        model.fit(np.ones([2, 1]), np.ones([2, 1]), epochs=3, callbacks=[callback], verbose=0)


@pytest.mark.parametrize("arguments", [{"contrasts": 1}, {"contrasts": 5, "patience": 0}])
def test_bad_numbers(arguments):
    with pytest.raises(ValueError, match="must be an integer of at least [12]. Received"):
        CollapseWarning(**arguments)
