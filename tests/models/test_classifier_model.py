import subprocess
import sys

import keras
import numpy as np
import pytest

import supcon_tf

NAMES = ("cat", "dog", "cow")
MODELS = (
    supcon_tf.CrossEntropyModel,
    supcon_tf.LinearClassifier,
    supcon_tf.AveragedCrossEntropyModel,
    supcon_tf.JointSupConModel,
)


def encoder():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


@pytest.mark.parametrize("cls", MODELS)
def test_class_names_are_part_of_the_configuration(cls):
    model = cls(encoder(), 3, class_names=np.array(NAMES))
    assert model.class_names == NAMES
    config = model.get_config()
    assert (config["num_classes"], config["class_names"]) == (3, list(NAMES))
    assert {type(name) for name in config["class_names"]} == {str}
    assert cls.from_config(config).class_names == NAMES
    unnamed = cls(encoder(), 3)
    assert unnamed.class_names is None
    assert cls.from_config(unnamed.get_config()).class_names is None


def test_the_average_has_the_names():
    model = supcon_tf.AveragedCrossEntropyModel(encoder(), 3, class_names=NAMES)
    assert model.average.class_names == NAMES


@pytest.mark.slow
def test_a_fresh_process_loads_the_names(tmp_path):
    supcon_tf.LinearClassifier(encoder(), 3, class_names=NAMES).save(tmp_path / "c.keras")
    code = "import sys, keras, supcon_tf; print(keras.saving.load_model(sys.argv[1]).class_names)"
    arguments = [sys.executable, "-c", code, tmp_path / "c.keras"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(NAMES)


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("names", ["abc", ["a", "b"], ["a", "b", "b"], [*"abcc"], [1, 2, 3]])
def test_bad_names(cls, names):
    with pytest.raises(ValueError, match="`class_names` must be num_classes=3 distinct strings"):
        cls(encoder(), 3, class_names=names)
