"""The trained classifiers of the documentation, with every supported version of Keras."""

import pathlib

import keras
import numpy as np
import pytest

import supcon_tf

MODELS = pathlib.Path(__file__).parents[1] / "docs" / "models"


@pytest.mark.versions
@pytest.mark.parametrize(
    ("name", "model", "logits"),
    [
        (
            "supcon",
            supcon_tf.LinearClassifier,
            [-9.1054, -8.4930, -4.1156, -3.1241, -1.5236, -6.4270, 5.9292, -9.5309, -4.4069]
            + [-9.8288],
        ),
        (
            "cross_entropy",
            supcon_tf.CrossEntropyModel,
            [-2.8415, -3.1761, 3.3665, 1.1560, 0.7523, -1.6118, 9.5001, -2.9854, -1.1130]
            + [-3.0469],
        ),
    ],
)
def test_predicts_as_at_the_time_of_writing(name, model, logits):
    classifier = keras.saving.load_model(MODELS / f"cifar10_small_{name}.keras")
    assert type(classifier) is model
    assert classifier.class_names[:2] == ("airplane", "automobile")
    image = (np.arange(3072).reshape([1, 32, 32, 3]) * 7 % 256 / 255).astype("float32")
    np.testing.assert_allclose(classifier.predict(image, verbose=0), [logits], atol=2e-3)
    assert classifier.encoder(image).shape == (1, 128)
