import logging

import keras
import numpy as np
import pytest

from experiments.lib import command_line


@pytest.fixture
def logged(caplog, monkeypatch):
    """Collects what TensorFlow logs, with the filters of before the test."""
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "filters", [])
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_scripts_predict_with_several_models_without_warnings(logged):
    command_line.check_arguments(["script"])
    for _ in range(6):
        model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
        model.predict(np.zeros([3, 2]), verbose=0)
    assert "retracing" not in logged.text


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["0", "1e-4"], True), ([], False), (["1", "a"], False), (["-1"], False), (["nan"], False)],
)
def test_numbers(values, expected):
    assert command_line.are_numbers(values) is expected
