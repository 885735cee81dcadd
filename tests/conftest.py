import gc
import os

# Before TensorFlow is imported: tests neither need nor may depend on a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# What is imported stays: clearing the session after every test then looks through what is new.
gc.collect()
gc.freeze()


@pytest.fixture(autouse=True)
def fresh_keras():
    """Every test starts with the same random state and the default dtype policy."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(autouse=True, scope="module")
def freed_memory():
    """What a file has left is looked for once: it takes longer the more there is."""
    yield
    gc.collect()


@pytest.fixture
def uncompiled():
    """Runs compiled functions operation by operation, which small tests wait for less long."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def two_replicas():
    """The only strategy of the process: several would take each other's messages."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def pytest_collection_modifyitems(items):
    """Puts the file that takes longest first, so that no process waits for it in the end."""
    items.sort(key=lambda item: item.path.parent.name != "replicas")
