import pathlib
import sys

import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for naive.py


@pytest.fixture
def uncompiled():
    """Runs compiled functions operation by operation, which small tests wait for less long."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
