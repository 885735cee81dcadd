import ctypes
import gc
import os
import pathlib
import runpy

# Before TensorFlow is imported: tests neither need nor may depend on a GPU. `make gpu-check` sets
# the variable to run those with the marker `gpu` on one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Before NumPy is imported: the threads of OpenBLAS and of scikit-learn wait for each other in busy
# loops. When test processes share the cores, these take far longer than the small computations.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Here and in the processes that tests start.
STARTUP = pathlib.Path(__file__).parent / "startup"
runpy.run_path(str(STARTUP / "sitecustomize.py"))
path = os.environ.get("PYTHONPATH")
os.environ["PYTHONPATH"] = f"{STARTUP}{os.pathsep}{path}" if path else str(STARTUP)

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

libc = ctypes.CDLL(None)

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
    # Errors keep the iterators of `fit` alive. The longer they wait, the longer their threads sleep
    # (up to a minute), and freeing an iterator waits for its thread.
    gc.collect(1)


@pytest.fixture(autouse=True, scope="module")
def freed_memory():
    """Frees the memory of a file of tests: once a file, since it takes long where much is in use.

    Three things keep it otherwise, so that a process of tests grows to 8 GB. Models and graphs are
    cycles of references. TensorFlow registers the gradient of every call of a
    `tf.custom_gradient` in a graph under a name of its own, and the gradient holds the graph. The C
    library keeps freed memory, in pieces too small for what is allocated later.

    What remains is frozen: later collections do not look through it again.
    """
    yield
    registry = gradient_registry._registry
    for name in [name for name in registry if name.startswith("CustomGradient-")]:
        del registry[name]
    gc.collect()
    gc.freeze()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


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


@pytest.hookimpl(optionalhook=True)  # There are runs without xdist.
def pytest_xdist_auto_num_workers():
    """One process more than cores: some tests wait for processes that they start or kill."""
    return (os.cpu_count() or 1) + 1
