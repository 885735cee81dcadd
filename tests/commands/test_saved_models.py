import re
import sys
import zipfile

import keras
import numpy as np
import pytest

import supcon_tf
from supcon_tf.commands.saved_models import load_classifier, load_encoder, load_model


@pytest.mark.slow
def test_a_model_with_nan_in_its_weights_is_refused(tmp_path):
    """TensorFlow can hide NaN: on a CPU this model returns zeros."""
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "relu", name="hidden")])
    path = tmp_path / "encoder.keras"
    model.save(path)
    for loaded, saved in zip(load_model(path).weights, model.weights, strict=True):
        np.testing.assert_array_equal(loaded, saved)
    for value in (np.nan, np.inf):
        model.set_weights([np.full([8, 4], value), np.zeros(4)])
        model.save(path)
        with pytest.raises(ValueError, match="encoder.keras must have finite weights.*hidden/ker"):
            load_model(path)


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.keras must be an existing .keras file"):
        load_model(tmp_path / "a.keras")
    (tmp_path / "a.keras").write_bytes(b"PK\3\4 half of a file")
    with pytest.raises(ValueError, match="a.keras must be a complete .keras file"):
        load_model(tmp_path / "a.keras")


def test_a_classifier_is_no_encoder_and_the_reverse(tmp_path):
    encoder = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    classifier = supcon_tf.CrossEntropyModel(encoder, num_classes=2)
    encoder.save(tmp_path / "encoder.keras")
    classifier.save(tmp_path / "classifier.keras")
    assert load_encoder(tmp_path / "encoder.keras").output_shape == (None, 16)
    assert load_classifier(tmp_path / "classifier.keras").encoder.output_shape == (None, 16)
    with pytest.raises(ValueError, match="must be the file of an encoder.*a CrossEntropyModel$"):
        load_encoder(tmp_path / "classifier.keras")
    with pytest.raises(ValueError, match="must be the file of a classifier.*a Sequential without"):
        load_classifier(tmp_path / "encoder.keras")


def test_layers_of_a_missing_keras_hub_name_the_extra(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "vit.keras", "w") as file:
        file.writestr("config.json", '{"module": "keras_hub.src.models.vit.vit_backbone"}')
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    message = 'vit.keras needs keras-hub: pip install "supcon-tf[vit]"'
    with pytest.raises(ImportError, match=re.escape(message)):
        load_model(tmp_path / "vit.keras")
